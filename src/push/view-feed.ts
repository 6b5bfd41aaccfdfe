// Reads the topics of all views, read_committed, and keeps their stores up to date. One reader, one loop. Main thread.
// Keeps SPEC: PUSH-5 (a client never sees a row of a transaction that is aborted or open), PUSH-24 (a row of a closed window says so).

import { type Clock, delay, type Scheduler } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import { encodeHeaders, FrameView } from '../core/frame.ts'
import { untilLed } from '../kafka/leader-wait.ts'
import {
  type Admin,
  type Kafka,
  KafkaError,
  type KafkaFailure,
  type Reader,
  type SourceBatch,
  type TopicDescription,
} from '../kafka/port.ts'
import type { Log } from '../ops/log.ts'
import { FeedWatch } from './feed-watch.ts'
import { HistoryStore } from './history-store.ts'
import type { PushLimits } from './limits.ts'
import { LiveView, type ViewTopic } from './live-view.ts'
import { type Offsets, PositionTokens } from './position-token.ts'
import type { PushMetrics } from './push-metrics.ts'
import { ViewStore } from './view-store.ts'

/** A view to serve. */
export interface ServedView {
  name: string
  topic: string
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
  /** Resolves when every view that has not failed was read to its end once; never when all have failed before. */
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
const keyDecoder = new TextDecoder('utf-8', { fatal: true })
const valueDecoder = new TextDecoder()

/** Opens the reader and starts the loop. Throws MR4002 when a topic is missing, KafkaError when Kafka fails. */
export async function startFeed(options: FeedOptions): Promise<ViewFeed> {
  const topics = await describeTopics(options)
  const reader = await options.kafka.openReader({})
  try {
    const views = await openViews(options, topics, reader)
    const loop = new FeedLoop(options, views, reader)
    return { views, ready: loop.ready, failed: loop.failed, close: () => loop.close() }
  } catch (error) {
    await reader.close()
    throw error
  }
}

/** What is known of a topic before it is read. */
interface OpenedTopic extends TopicDescription {
  /** See ViewTopic. */
  removalMs: number
}

async function describeTopics({ kafka, views, callMs }: FeedOptions): Promise<Map<string, OpenedTopic>> {
  const admin = await kafka.openAdmin()
  try {
    const names = [...new Set(views.map((view) => view.topic))]
    const found = new Map((await admin.describe(names, callMs)).map((topic) => [topic.name, topic]))
    const missing = names.filter((topic) => !found.has(topic))
    if (missing.length > 0) throw new MillraceError('MR4002', { topic: missing.join(' and no topic ') })
    const opened = new Map<string, OpenedTopic>()
    for (const [name, topic] of found) opened.set(name, { ...topic, removalMs: await removalMs(admin, topic, callMs) })
    return opened
  } finally {
    await admin.close()
  }
}

/** 0 where this principal may not see it: a position from before the start is not gone on from then. */
async function removalMs(admin: Admin, { name, operations }: TopicDescription, callMs: number): Promise<number> {
  if (operations !== undefined && !operations.includes('DESCRIBE_CONFIGS')) return 0
  return Number((await admin.config(name, callMs))['delete.retention.ms'] ?? 0)
}

/** Makes the stores and points the reader at the first offset of every partition. */
async function openViews(options: FeedOptions, topics: Map<string, OpenedTopic>, reader: Reader): Promise<LiveView[]> {
  const openedMs = options.clock.wallMs()
  const starts = new Map<string, Offsets>()
  for (const { name, partitionCount } of topics.values()) {
    const start: number[] = []
    for (let partition = 0; partition < partitionCount; partition++) {
      const marks = await untilLed((leftMs) => reader.watermarks({ topic: name, partition }, leftMs), options.callMs)
      start.push(marks.low)
    }
    starts.set(name, start)
  }
  reader.assign(
    [...starts].flatMap(([topic, start]) => start.map((offset, partition) => ({ topic, partition, offset }))),
  )
  return options.views.map(({ name, topic, history = false }) => {
    const { topicId = topic, removalMs } = topics.get(topic)!
    const tokens = new PositionTokens(name, topicId, options.positionSecret)
    const viewTopic: ViewTopic = { name: topic, tokens, openedMs, removalMs }
    const { limits, metrics, clock } = options
    return new LiveView({
      name,
      topic: viewTopic,
      store: new ViewStore(name, starts.get(topic)!, limits),
      history: history ? new HistoryStore(name, starts.get(topic)!, limits) : undefined,
      counts: metrics.ofView(name),
      messageCharsMax: limits.messageCharsMax,
      wallMs: () => clock.wallMs(),
    })
  })
}

class FeedLoop {
  /** See ViewFeed. */
  readonly ready: Promise<void>
  readonly failed: Promise<MillraceError>
  readonly #options: FeedOptions
  readonly #views: readonly LiveView[]
  readonly #reader: Reader
  readonly #decoders: Map<string, (value: Uint8Array) => unknown>
  readonly #ended: Promise<void>
  #becameReady: () => void = () => undefined
  #hasFailed: (failure: MillraceError) => void = () => undefined
  readonly #watch: FeedWatch
  #isClosed = false
  #undecodableLogged = new Set<string>()

  constructor(options: FeedOptions, views: readonly LiveView[], reader: Reader) {
    this.#options = options
    this.#views = views
    this.#reader = reader
    this.#decoders = new Map(options.views.map((view) => [view.name, view.decode ?? decodeJson]))
    this.ready = new Promise((resolve) => (this.#becameReady = resolve))
    this.failed = new Promise((resolve) => (this.#hasFailed = resolve))
    const groups = new Map(options.views.flatMap(({ name, group }) => (group === undefined ? [] : [[name, group]])))
    this.#watch = new FeedWatch({ ...options, views, reader, groups })
    this.#ended = this.#run()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#watch.close()
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
        for (const end of ends) {
          this.#watch.atEnd(end)
          for (const view of this.#of(end.topic)) view.reachedEnd(end.partition)
        }
        for (const error of errors) this.#report(error)
        const served = this.#views.filter(({ failure }) => failure === undefined)
        if (served.length > 0 && served.every(({ isReady }) => isReady)) this.#becameReady()
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
    for (let i = 0, at = frame.firstAt; i < frame.recordCount; i++, at = frame.nextAt(at)) {
      const row = rowOf(frame, at, decode)
      const { partition } = batch
      const offset = frame.offset(at)
      const timestampMs = frame.timestampMs(at)
      const reason = typeof row === 'string' ? row : view.apply({ partition, offset, timestampMs, ...row })
      if (reason !== undefined) this.#skip(view, partition, offset, reason)
    }
    view.counts.rowsRead.add(frame.recordCount)
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
    view.fail(failure)
    if (this.#views.every((each) => each.failure !== undefined)) this.#hasFailed(failure)
  }
}

function decodeJson(value: Uint8Array): unknown {
  return JSON.parse(valueDecoder.decode(value))
}

/** Key and JSON of a record, and whether it may still change; `json` undefined removes the key. A text says why it is no row. */
function rowOf(
  frame: FrameView,
  at: number,
  decode: (value: Uint8Array) => unknown,
): { key: string; json: string | undefined; isFinal: boolean } | string {
  const key = frame.key(at)
  if (key === undefined) return 'it has no key'
  const value = frame.value(at)
  try {
    const json = value === undefined ? undefined : JSON.stringify(decode(value), plainValue)
    if (value !== undefined && json === undefined) return 'its value is nothing that JSON knows'
    return { key: keyDecoder.decode(key), json, isFinal: isFinal(frame, at) }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** The first header of a row of a job, as it is packed, when its window is closed. */
const FINAL_PHASE = encodeHeaders([{ name: 'millrace-phase', value: new TextEncoder().encode('final') }])

function isFinal(frame: FrameView, at: number): boolean {
  if (frame.headersBytes(at) < FINAL_PHASE.length) return false
  const start = frame.headersStart(at)
  for (let i = 0; i < FINAL_PHASE.length; i++) if (frame.bytes[start + i] !== FINAL_PHASE[i]) return false
  return true
}

/** What JSON does not know: big integers travel as text, bytes as base64. */
function plainValue(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}
