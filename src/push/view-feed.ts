// Reads the topics of all views, read_committed, and keeps their stores up to date. One reader, one loop. Main thread.
// Keeps SPEC: PUSH-5 (a client never sees a row of a transaction that is aborted or open), PUSH-24 (a row of a closed window says so).

import { type Clock, delay, type Scheduler } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import { FrameView } from '../core/frame.ts'
import { type Kafka, KafkaError, type KafkaFailure, type Reader, type SourceBatch } from '../kafka/port.ts'
import type { Log } from '../ops/log.ts'
import { lockCopies } from './copied-view.ts'
import type { CopyKeeper } from './copy-keeper.ts'
import type { EndMarks } from './end-marks.ts'
import { FeedWatch } from './feed-watch.ts'
import type { PushLimits } from './limits.ts'
import type { LiveView } from './live-view.ts'
import { describeTopics, type OpenedView, openViews } from './open-views.ts'
import type { PushMetrics } from './push-metrics.ts'
import { decodeJson, type RowDecoder, rowOf } from './row-json.ts'

/** A view to serve. */
export interface ServedView {
  name: string
  topic: string
  /** What `decode` reads, for copies on disk: one of another format is not used. Default: json. */
  format?: string | undefined
  /** Value bytes to a row; may throw. Default: JSON. */
  decode?: ((value: Uint8Array) => unknown) | undefined
  /** Its records are rows by key and time: see core/history-key.ts. Default: the newest record of a key is its row. */
  history?: boolean | undefined
  /** The consumer group of the job that writes it: whether that runs is asked when the view is quiet. */
  group?: string | undefined
}

export interface FeedOptions {
  kafka: Kafka
  views: readonly ServedView[]
  limits: PushLimits
  /** Folder of the copies of views, of this process alone; undefined: views are in memory. */
  copyDir: string | undefined
  positionSecret: string
  /** One call to Kafka. */
  callMs: number
  metrics: PushMetrics
  log: Log
  clock: Clock
  scheduler: Scheduler
}

export interface ViewFeed {
  views: LiveView[]
  /** Resolves when every view that has not failed is served (PUSH-11); never when all have failed before. */
  ready: Promise<void>
  /** Resolves with the last failure when no view is served any more. */
  failed: Promise<MillraceError>
  /** Ends the reading. Idempotent. */
  close(): Promise<void>
}

/** Errors of a partition after which its view would silently stand still. */
const FINAL_ERRORS = new Set([
  '_AUTO_OFFSET_RESET',
  'OFFSET_OUT_OF_RANGE',
  '_UNKNOWN_TOPIC',
  '_UNKNOWN_PARTITION',
  'UNKNOWN_TOPIC_OR_PART',
  'UNKNOWN_TOPIC_ID',
  'TOPIC_AUTHORIZATION_FAILED',
])
const POLL_WAIT_MS = 1000
const RETRY_AFTER_MS = 500

/**
 * Opens the reader and starts the loop. Throws MR4002 when a topic is missing, MR7030 and MR7031 when the folder of copies cannot be used,
 * KafkaError when Kafka fails.
 */
export async function startFeed(options: FeedOptions): Promise<ViewFeed> {
  const topics = await describeTopics(options)
  const unlock = options.copyDir === undefined ? undefined : await lockCopies(options.copyDir)
  const opened: OpenedView[] = []
  let reading: { close(): Promise<void> } | undefined
  const close = async (): Promise<void> => {
    await reading?.close()
    for (const { keeper } of opened.splice(0)) await keeper?.close()
    await unlock?.()
  }
  try {
    const reader = await options.kafka.openReader({})
    reading = reader
    await openViews(options, topics, reader, opened)
    const views = opened.map(({ view }) => view)
    const loop = new FeedLoop(options, [...opened], reader)
    reading = loop
    return { views, ready: loop.ready, failed: loop.failed, close }
  } catch (error) {
    await close()
    throw error
  }
}

class FeedLoop {
  /** See ViewFeed. */
  readonly ready: Promise<void>
  readonly failed: Promise<MillraceError>
  readonly #options: FeedOptions
  readonly #views: readonly LiveView[]
  readonly #keepers: ReadonlyMap<LiveView, CopyKeeper>
  readonly #ends: ReadonlyMap<LiveView, EndMarks>
  readonly #reader: Reader
  readonly #decoders: Map<string, RowDecoder>
  readonly #ended: Promise<void>
  #becameReady: () => void = () => undefined
  #hasFailed: (failure: MillraceError) => void = () => undefined
  readonly #watch: FeedWatch
  #isClosed = false
  #undecodableLogged = new Set<string>()

  constructor(options: FeedOptions, opened: readonly OpenedView[], reader: Reader) {
    this.#options = options
    this.#views = opened.map(({ view }) => view)
    this.#keepers = new Map(opened.flatMap(({ view, keeper }) => (keeper === undefined ? [] : [[view, keeper]])))
    this.#ends = new Map(opened.map(({ view, ends }) => [view, ends]))
    for (const view of this.#views) view.onBroken = (failure) => this.#fail(view, failure)
    for (const [view, keeper] of this.#keepers) keeper.onFailed = view.onBroken
    this.#reader = reader
    this.#decoders = new Map(options.views.map((view) => [view.name, view.decode ?? decodeJson]))
    this.ready = new Promise((resolve) => (this.#becameReady = resolve))
    this.failed = new Promise((resolve) => (this.#hasFailed = resolve))
    const groups = new Map(options.views.flatMap(({ name, group }) => (group === undefined ? [] : [[name, group]])))
    this.#watch = new FeedWatch({ ...options, views: this.#views, reader, groups })
    this.#ended = this.#run()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#watch.close()
    await this.#reader.close()
    await this.#ended
  }

  async #run(): Promise<void> {
    const { pollRecordsMax, pollBytesMax } = this.#options.limits
    const limits = { recordsMax: pollRecordsMax, bytesMax: pollBytesMax, waitMs: POLL_WAIT_MS }
    while (!this.#isClosed) {
      try {
        const { batches, ends, errors } = await this.#reader.poll(limits)
        for (const batch of batches) this.#take(batch)
        for (const view of this.#views) view.publish()
        for (const { topic, partition, nextOffset, frame } of batches) {
          this.#reached(topic, partition, nextOffset, new FrameView(frame).highWatermark)
        }
        for (const end of ends) {
          this.#watch.atEnd(end)
          this.#reached(end.topic, end.partition, end.offset, end.offset)
        }
        for (const error of errors) this.#report(error)
        const served = this.#views.filter(({ failure }) => failure === undefined)
        if (served.length > 0 && served.every(({ isReady }) => isReady)) this.#becameReady()
        for (const keeper of this.#keepers.values()) await keeper.turn()
      } catch (error) {
        if (this.#isClosed) return
        if (!(error instanceof KafkaError && error.failure.isRetriable)) {
          this.#failAll(error)
          return
        }
        this.#watch.failed(error.failure, true)
        this.#options.log.warn({ err: error }, 'reading the views failed, trying again')
        await delay(this.#options.scheduler, RETRY_AFTER_MS)
      }
    }
  }

  #of(topic: string): LiveView[] {
    return this.#views.filter((view) => view.topic.name === topic && view.failure === undefined)
  }

  /** All of a partition before `position` is in its views; `end`: as it is known now, -1: not known. */
  #reached(topic: string, partition: number, position: number, end: number): void {
    const { clock, limits } = this.#options
    const nowMs = clock.monotonicMs()
    for (const view of this.#of(topic)) {
      const seenMs = this.#ends.get(view)!.read(partition, position, end, nowMs)
      if (seenMs === undefined) continue
      const ageMs = nowMs - seenMs
      this.#keepers.get(view)?.reachedEnd(partition, clock.wallMs() - ageMs)
      // What was the end longer ago shows an old state: a reader that takes long goes on to the next one.
      if (ageMs < limits.behindAfterMs) view.reachedEnd(partition)
    }
  }

  #take(batch: SourceBatch): void {
    this.#watch.took(batch)
    for (const view of this.#of(batch.topic)) {
      try {
        this.#applyAll(view, batch)
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        this.#fail(view, error)
      }
    }
  }

  #applyAll(view: LiveView, batch: SourceBatch): void {
    const decode = this.#decoders.get(view.name)!
    const frame = new FrameView(batch.frame)
    const { partition } = batch
    const next = view.store.nextOffset(partition)
    let readCount = 0
    for (let i = 0, at = frame.firstAt; i < frame.recordCount; i++, at = frame.nextAt(at)) {
      const offset = frame.offset(at)
      // Another view of the topic begins further back.
      if (offset < next) continue
      readCount++
      const row = rowOf(frame, at, decode)
      const timestampMs = frame.timestampMs(at)
      const reason = typeof row === 'string' ? row : view.apply({ partition, offset, timestampMs, ...row })
      if (reason !== undefined) this.#skip(view, partition, offset, reason)
      else if (typeof row !== 'string') view.provisional.read(row.key, row.json)
    }
    view.counts.rowsRead.add(readCount)
  }

  /** A record that is no row is counted and named once a view; the rows around it are right without it. */
  #skip(view: LiveView, partition: number, offset: number, reason: string): void {
    view.skip(partition, offset)
    view.counts.undecodable.add(1)
    if (this.#undecodableLogged.has(view.name)) return
    this.#undecodableLogged.add(view.name)
    const what = { view: view.name, topic: view.topic.name, partition, offset, reason }
    this.#options.log.warn(what, 'a record is no row of the view; more of them are only counted')
  }

  #report(error: KafkaFailure): void {
    const { log } = this.#options
    this.#watch.failed(error, false)
    if (error.topic === undefined || !FINAL_ERRORS.has(error.name)) {
      log.warn({ failure: error }, 'Kafka reports a problem with the views')
      return
    }
    const reason = `${error.name} on partition ${error.partition}: ${error.message}`
    for (const view of this.#of(error.topic)) this.#fail(view, new MillraceError('MR7004', { view: view.name, reason }))
  }

  #fail(view: LiveView, failure: MillraceError): void {
    if (view.failure !== undefined) return
    this.#end(view, failure)
    const { name: topic } = view.topic
    if (this.#of(topic).length > 0) return
    this.#reader.pause(view.store.offsets.map((_, partition) => ({ topic, partition })))
  }

  #failAll(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    for (const view of this.#views) {
      const failure = new MillraceError('MR7004', { view: view.name, reason }, { cause: error })
      this.#end(view, failure)
    }
  }

  #end(view: LiveView, failure: MillraceError): void {
    this.#options.log.error({ err: failure, view: view.name }, failure.remedy)
    this.#keepers.get(view)?.stop()
    view.fail(failure)
    if (this.#views.every((each) => each.failure !== undefined)) this.#hasFailed(failure)
  }
}
