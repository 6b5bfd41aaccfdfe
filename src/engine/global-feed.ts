// Reads the topics of global tables for all lanes: to their ends before the job starts, and on from there. Main thread.
// Keeps SPEC: TABLE-5 (every lane has all rows that were there at the start before the first record).

import { MillraceError } from '../core/errors.ts'
import { KafkaError, partitionKey, type Reader, type TopicPartition } from '../kafka/port.ts'
import { endsFetching } from './epoch/failure.ts'
import type { EngineOptions } from './options.ts'

const POLL_WAIT_MS = 100

export interface GlobalFeedOptions {
  engine: EngineOptions
  partitions: readonly TopicPartition[]
  onFailure: (error: unknown) => void
}

/**
 * One reader for all of them. `load` once before the first record, and again when a lane has begun anew.
 *
 * @example
 * const feed = new GlobalFeed({ engine, partitions, onFailure })
 * await feed.load()
 */
export class GlobalFeed {
  readonly #options: GlobalFeedOptions
  #reader: Reader | undefined
  /** Next offset of each partition, and the end that was there when it was looked for. */
  readonly #next = new Map<string, number>()
  readonly #ends = new Map<string, number>()
  #isClosed = false
  #following: Promise<void> | undefined
  #cancel = () => {}

  constructor(options: GlobalFeedOptions) {
    this.#options = options
  }

  /** Every lane has all rows up to the ends of now, and is told of those that come. */
  async load(): Promise<void> {
    const { engine, partitions } = this.#options
    if (partitions.length === 0) return
    await this.#pause()
    this.#reader ??= await engine.kafka.openReader({})
    const reader = this.#reader
    for (const partition of partitions) {
      const { low, high } = await reader.watermarks(partition, engine.limits.callMs)
      this.#next.set(partitionKey(partition), low)
      this.#ends.set(partitionKey(partition), high)
    }
    for (const topic of new Set(partitions.map(({ topic }) => topic))) await this.#send(topic, true, undefined)
    reader.assign(partitions.map((partition) => ({ ...partition, offset: this.#next.get(partitionKey(partition))! })))
    while (!this.isAtEnd && !this.#isClosed) await this.#poll(reader)
    this.#follow(reader)
  }

  /** All rows that were there when it was loaded, and what has come and was seen since, are on the lanes. */
  get isAtEnd(): boolean {
    return this.#options.partitions.every((partition) => {
      const key = partitionKey(partition)
      return (this.#next.get(key) ?? 0) >= (this.#ends.get(key) ?? 0)
    })
  }
  /** Where the reading of a partition stands. */
  nextOffset(partition: TopicPartition): number {
    return this.#next.get(partitionKey(partition)) ?? 0
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#pause()
    await this.#reader?.close()
  }

  #follow(reader: Reader): void {
    let isStopped = false
    const follow = async (): Promise<void> => {
      while (!isStopped && !this.#isClosed) await this.#poll(reader)
    }
    this.#cancel = () => {
      isStopped = true
    }
    this.#following = follow().catch((error: unknown) => {
      if (!isStopped && !this.#isClosed) this.#options.onFailure(error)
    })
  }

  async #pause(): Promise<void> {
    this.#cancel()
    await this.#following
    this.#following = undefined
  }

  async #poll(reader: Reader): Promise<void> {
    const { limits, log } = this.#options.engine
    const { pollRecordsMax: recordsMax, pollBytesMax: bytesMax } = limits
    const result = await reader.poll({ recordsMax, bytesMax, waitMs: POLL_WAIT_MS })
    for (const batch of result.batches) {
      await this.#send(batch.topic, false, batch.frame)
      this.#next.set(partitionKey(batch), batch.nextOffset)
    }
    // Control records take offsets and are no rows.
    for (const end of result.ends) {
      if (end.offset > (this.#next.get(partitionKey(end)) ?? 0)) this.#next.set(partitionKey(end), end.offset)
    }
    for (const failure of result.errors) {
      log.warn({ kafka: failure }, 'reading a global table reported an error')
      if (endsFetching(failure)) throw new KafkaError(failure)
    }
  }

  /** Every lane gets a frame of its own. */
  async #send(topic: string, isFirst: boolean, frame: ArrayBuffer | undefined): Promise<void> {
    const { lanes, log } = this.#options.engine
    const answers = await Promise.all(
      Array.from({ length: lanes.count }, (_, lane) =>
        lanes.send(lane, { op: 'global', topic, isFirst, frame: lane === lanes.count - 1 ? frame : frame?.slice(0) }),
      ),
    )
    const { refused, lastRefused } = answers[0]!
    if (lastRefused === undefined) return
    log.warn({ topic, refused, code: lastRefused.code }, MillraceError.fromData(lastRefused).message)
  }
}
