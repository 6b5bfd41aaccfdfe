// A job of a file of its own that runs as a process on the real Kafka: its folder, its topics, what is sent to it and what it has written.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FrameWriter, sourceRecords } from '../../src/core/frame.ts'
import type { Kafka } from '../../src/kafka/port.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from './command-process.ts'

const CALL_MS = 30_000
const decoder = new TextDecoder()

export class BrokerJob {
  /** Of the job; its topics are `<name>-<topic>`. */
  readonly name: string
  readonly kafka: Kafka
  readonly #brokers: string
  readonly #folder: string

  constructor(kind: string, brokers: string) {
    this.name = `${kind}-${randomUUID()}`
    this.kafka = openRdKafka({ brokers })
    this.#brokers = brokers
    this.#folder = mkdtempSync(join(tmpdir(), `millrace-${kind}-`))
  }

  /** Ends its processes and deletes its folder. */
  end(): void {
    endCommandProcesses()
    rmSync(this.#folder, { recursive: true })
  }

  /** Of a file or folder in its folder. */
  path(name: string): string {
    return join(this.#folder, name)
  }

  /** Partitions by topic. */
  async makeTopics(partitions: Record<string, number>): Promise<void> {
    const admin = await this.kafka.openAdmin()
    const topics = Object.entries(partitions).map(([topic, partitionCount]) => {
      return { name: `${this.name}-${topic}`, partitionCount, replicationFactor: 1, config: {} }
    })
    await admin.create(topics, CALL_MS)
    await admin.close()
  }

  /** The topics of the records are numbers of `topics`. */
  async send(records: FrameWriter, topics: readonly string[]): Promise<void> {
    const producer = await this.kafka.openProducer({})
    await producer.produce(
      records.take()!,
      topics.map((topic) => `${this.name}-${topic}`),
    )
    await producer.flush(CALL_MS)
    await producer.close()
  }

  command(name: string, text: string, ...more: string[]): CommandProcess {
    const path = join(this.#folder, 'job.ts')
    writeFileSync(path, text)
    return new CommandProcess([LAUNCHER, name, path, '--brokers', this.#brokers, '--json', ...more])
  }

  run(text: string, ...more: string[]): CommandProcess {
    const state = ['--state-dir', join(this.#folder, 'state'), '--instance-id', 'one']
    return this.command('run', text, '--http-port', '0', '--create-topics', ...state, ...more)
  }

  /** Views of plain topics. */
  serve(...more: string[]): CommandProcess {
    return new CommandProcess([LAUNCHER, 'serve', '--brokers', this.#brokers, '--json', ...more])
  }

  /** Values that are committed in a topic, in the order that they were read; `from`: the first offset of each. */
  async values(topic: string, from: readonly number[]): Promise<string[]> {
    const reader = await this.kafka.openReader({})
    reader.assign(from.map((offset, partition) => ({ topic: `${this.name}-${topic}`, partition, offset })))
    const found: string[] = []
    for (const ended = new Set<number>(); ended.size < from.length; ) {
      const { batches, ends } = await reader.poll({ recordsMax: 10_000, bytesMax: 1 << 22, waitMs: 200 })
      for (const { frame } of batches) for (const { value } of sourceRecords(frame)) found.push(decoder.decode(value))
      for (const { partition } of ends) ended.add(partition)
    }
    await reader.close()
    return found
  }
}
