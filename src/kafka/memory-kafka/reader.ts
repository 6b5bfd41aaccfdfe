// The reading client: positions in partition logs, polled into packed frames. Main thread.
// Keeps SPEC: KAFKA-1 (read committed only, unless a reader asks otherwise), FRAME-1.

import { FRAME_HEADER_BYTES, FrameWriter } from '../../core/frame.ts'
import type {
  KafkaFailure,
  PollLimits,
  PollResult,
  Reader,
  ReaderOptions,
  SourceBatch,
  TimeOffset,
  TopicPartition,
  TopicPartitionOffset,
  TopicPartitionTime,
} from '../port.ts'
import type { Broker } from './broker.ts'
import { failure, kafkaError } from './failure.ts'
import type { FaultGate } from './faults.ts'
import type { PartitionLog } from './partition-log.ts'

/** One assigned partition. */
interface Position extends TopicPartition {
  /** The log it was found in: a topic made anew under the name is another one. */
  log: PartitionLog | undefined
  /** Next offset to look at; -2 the beginning, -1 the end, as in librdkafka. */
  offset: number
  isPaused: boolean
  /** The end that was reported last. */
  reportedEnd: number
  /** An error was reported; nothing is read until the next assignment. */
  isBroken: boolean
}

export class MemoryReader implements Reader {
  protected readonly broker: Broker
  protected readonly gate: FaultGate
  protected readonly name: string
  protected isClosed = false
  readonly #readUncommitted: boolean
  readonly #writer = new FrameWriter()
  #positions: Position[] = []
  /** Where the next poll begins, so that a busy partition does not starve the others. */
  #turn = 0

  constructor(broker: Broker, gate: FaultGate, options: ReaderOptions, name: string) {
    this.broker = broker
    this.gate = gate
    this.name = name
    this.#readUncommitted = options.readUncommitted ?? false
  }

  assign(partitions: TopicPartitionOffset[]): void {
    this.requireOpen()
    this.#positions = partitions.map(({ topic, partition, offset }) => {
      return { topic, partition, offset, log: undefined, isPaused: false, reportedEnd: -1, isBroken: false }
    })
    this.broker.bell.ring()
  }

  async poll(limits: PollLimits): Promise<PollResult> {
    this.requireOpen()
    return this.gate.run('poll', this.name, () => this.#poll(limits))
  }

  /** These frames are ordinary JavaScript memory. */
  recycle(): void {}

  pause(partitions: TopicPartition[]): void {
    this.#setPaused(partitions, true)
  }

  resume(partitions: TopicPartition[]): void {
    this.#setPaused(partitions, false)
    this.broker.bell.ring()
  }

  watermarks(partition: TopicPartition, _timeoutMs: number): Promise<{ low: number; high: number }> {
    return this.gate.run('watermarks', this.name, () => {
      this.requireOpen()
      const log = this.broker.log(partition)
      if (log === undefined) throw kafkaError('UNKNOWN_TOPIC_OR_PART', 'no such partition', partition)
      return { low: log.low, high: log.high }
    })
  }

  offsetsForTimes(times: TopicPartitionTime[], _timeoutMs: number): Promise<TimeOffset[]> {
    return this.gate.run('offsetsForTimes', this.name, () => {
      this.requireOpen()
      return times.map(({ topic, partition, timestampMs }) => {
        const log = this.broker.log({ topic, partition })
        if (log === undefined) throw kafkaError('UNKNOWN_TOPIC_OR_PART', 'no such partition', { topic, partition })
        return { topic, partition, offset: log.offsetAtOrAfter(timestampMs) }
      })
    })
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.#positions = []
    this.broker.bell.ring()
  }

  /** What a subclass has to tell at a poll (rebalances); true when a waiting poll should end for it. */
  protected hasNews(): boolean {
    return false
  }
  protected serve(): void {}

  protected requireOpen(): void {
    if (this.isClosed) throw kafkaError('_DESTROY', `the client ${this.name} is closed`)
  }

  protected dropAssignment(): void {
    this.#positions = []
  }

  async #poll(limits: PollLimits): Promise<PollResult> {
    if (this.broker.yieldsOnPoll) await new Promise((resolve) => setImmediate(resolve))
    await this.broker.bell.wait(() => this.isClosed || this.hasNews() || this.#canTell(), limits.waitMs)
    if (this.isClosed) return { batches: [], ends: [], errors: [] }
    this.serve()
    return this.#collect(limits)
  }

  #setPaused(partitions: TopicPartition[], isPaused: boolean): void {
    for (const { topic, partition } of partitions) {
      const position = this.#positions.find(
        (candidate) => candidate.topic === topic && candidate.partition === partition,
      )
      if (position === undefined)
        throw kafkaError('_STATE', `${topic}/${partition} is not assigned`, { topic, partition })
      position.isPaused = isPaused
    }
  }

  /** True when a poll would have something to give. */
  #canTell(): boolean {
    return this.#positions.some((position) => {
      if (position.isPaused || position.isBroken) return false
      const log = this.#settle(position)
      if (log === undefined || position.offset < log.low || position.offset > log.high) return true
      const end = this.#endOf(log)
      return position.offset < end || position.reportedEnd !== end
    })
  }

  #collect(limits: PollLimits): PollResult {
    const result: PollResult = { batches: [], ends: [], errors: [] }
    const left = { records: limits.recordsMax, bytes: limits.bytesMax }
    const count = this.#positions.length
    for (let i = 0; i < count && left.records > 0 && left.bytes > 0; i++) {
      const position = this.#positions[(this.#turn + i) % count]!
      if (!position.isPaused && !position.isBroken) this.#read(position, left, result)
    }
    this.#turn = count === 0 ? 0 : (this.#turn + 1) % count
    return result
  }

  #read(position: Position, left: { records: number; bytes: number }, result: PollResult): void {
    const log = this.#settle(position)
    const problem = this.#problem(position, log)
    if (log === undefined || problem !== undefined) {
      position.isBroken = true
      if (problem !== undefined) result.errors.push(problem)
      return
    }
    const batch = this.#take(position, log, left)
    if (batch !== undefined) result.batches.push(batch)
    const end = this.#endOf(log)
    if (position.offset !== end || position.reportedEnd === end) return
    position.reportedEnd = end
    result.ends.push({ topic: position.topic, partition: position.partition, offset: end })
  }

  #take(position: Position, log: PartitionLog, left: { records: number; bytes: number }): SourceBatch | undefined {
    const writer = this.#writer
    const end = this.#endOf(log)
    let nextOffset = -1
    while (
      position.offset < end &&
      writer.recordCount < left.records &&
      writer.used - FRAME_HEADER_BYTES < left.bytes
    ) {
      const record = log.at(position.offset)!
      position.offset++
      if (!log.isShown(record, this.#readUncommitted)) continue
      writer.appendSource(record.offset, record.timestampMs, record.key, record.value, record.headers)
      nextOffset = position.offset
    }
    const recordCount = writer.recordCount
    const frame = writer.take(position.partition, nextOffset, log.high)
    if (frame === undefined) return undefined
    left.records -= recordCount
    left.bytes -= frame.byteLength
    const { topic, partition } = position
    return { topic, partition, frame, recordCount, bytes: frame.byteLength, nextOffset }
  }

  #problem(position: Position, log: PartitionLog | undefined): KafkaFailure | undefined {
    const { topic, partition, offset } = position
    if (log === undefined)
      return failure('UNKNOWN_TOPIC_OR_PART', `no partition ${topic}/${partition}`, { topic, partition })
    if (offset >= log.low && offset <= log.high) return undefined
    const message = `offset ${offset} is outside ${log.low} to ${log.high}`
    return failure('_AUTO_OFFSET_RESET', message, { topic, partition })
  }

  /** Finds the log and turns a logical offset into a real one; undefined when the partition is not there (any more). */
  #settle(position: Position): PartitionLog | undefined {
    position.log ??= this.broker.log(position)
    const { log } = position
    if (log === undefined || log.isDeleted) return undefined
    if (position.offset === -2) position.offset = log.low
    if (position.offset === -1) position.offset = this.#endOf(log)
    return log
  }

  #endOf(log: PartitionLog): number {
    return this.#readUncommitted ? log.high : log.stable
  }
}
