// The peer of the end-to-end bench: a hand-written consumer loop, kafkajs and msgpackr, at least once. Own process.
// It keeps its candles in memory alone: a restart would lose them, which Millrace must not.
import kafkajs, { type EachBatchPayload, type Producer } from 'kafkajs'
import { registerLz4 } from '../lib/kafkajs-lz4.ts'
import { LoopCandles } from '../lib/loop-candles.ts'
import { runBench } from '../lib/report.ts'

// kafkajs is CommonJS without names that an import could find.
const { CompressionTypes, Kafka, logLevel, Partitioners } = kafkajs

/** What it is told, as JSON in BENCH_LOOP. */
export interface LoopTask {
  brokers: string
  groupId: string
  source: string
  sink: string
  /** By partition: read the offsets below this. */
  endOffsets: number[]
}

export interface LoopResult {
  records: number
  elapsedMs: number
  cpuMicros: number
  rssBytesMax: number
}

const ROWS_A_SEND = 10_000

class Loop {
  readonly #task: LoopTask
  readonly #producer: Producer
  readonly #candles: LoopCandles[]
  readonly #missing: Set<number>
  /** Resolves when every partition is read to its end and committed. */
  readonly done: Promise<void>
  #onDone: () => void = () => {}
  #records = 0

  constructor(task: LoopTask, producer: Producer) {
    this.#task = task
    this.#producer = producer
    this.#candles = task.endOffsets.map(() => new LoopCandles())
    this.#missing = new Set(task.endOffsets.flatMap((end, partition) => (end > 0 ? [partition] : [])))
    this.done = new Promise((resolve) => {
      this.#onDone = resolve
    })
  }
  get records(): number {
    return this.#records
  }

  async take({ batch, resolveOffset, commitOffsetsIfNecessary, uncommittedOffsets }: EachBatchPayload): Promise<void> {
    const { partition } = batch
    const end = this.#task.endOffsets[partition]!
    if (!this.#missing.has(partition)) return
    const values: Buffer[] = []
    for (const { offset, value } of batch.messages) {
      if (Number(offset) < end && value !== null) values.push(value)
    }
    await this.#send(this.#candles[partition]!.add(values))
    this.#records += values.length
    const isLast = Number(batch.lastOffset()) >= end - 1
    if (isLast) await this.#send(this.#candles[partition]!.close())
    resolveOffset(batch.lastOffset())
    await commitOffsetsIfNecessary(uncommittedOffsets())
    if (isLast) this.#missing.delete(partition)
    if (this.#missing.size === 0) this.#onDone()
  }

  async #send(messages: ReturnType<LoopCandles['add']>): Promise<void> {
    for (let from = 0; from < messages.length; from += ROWS_A_SEND) {
      await this.#producer.send({
        topic: this.#task.sink,
        messages: messages.slice(from, from + ROWS_A_SEND),
        compression: CompressionTypes.LZ4,
      })
    }
  }
}

async function run(task: LoopTask): Promise<LoopResult> {
  registerLz4()
  const kafka = new Kafka({ brokers: task.brokers.split(','), clientId: 'loop', logLevel: logLevel.ERROR })
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  const consumer = kafka.consumer({ groupId: task.groupId, maxBytesPerPartition: 4 << 20, maxBytes: 16 << 20 })
  await producer.connect()
  await consumer.connect()
  await consumer.subscribe({ topics: [task.source], fromBeginning: true })
  const joined = new Promise<void>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, () => resolve())
  })
  const crashed = new Promise<never>((_, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
  })
  const loop = new Loop(task, producer)
  await consumer.run({
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: task.endOffsets.length,
    eachBatch: (payload) => loop.take(payload),
  })
  await Promise.race([joined, crashed])
  const startedMs = performance.now()
  const used = process.cpuUsage()
  await Promise.race([loop.done, crashed])
  const elapsedMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(used)
  await consumer.disconnect()
  await producer.disconnect()
  return {
    records: loop.records,
    elapsedMs: Math.round(elapsedMs),
    cpuMicros: user + system,
    rssBytesMax: process.resourceUsage().maxRSS * 1024,
  }
}

await runBench(async () => {
  const task = JSON.parse(process.env.BENCH_LOOP ?? '') as LoopTask
  process.stdout.write(`${JSON.stringify(await run(task))}\n`)
})
