// Watches whether the rows of views are fresh: what their reader sees, and, where that is nothing, what Kafka answers when it is
// asked. Main thread.
// Keeps SPEC: PUSH-36 (a view whose rows do not move says why, as far as it can be known).

import { type Clock, type Scheduler, within } from '../core/clock.ts'
import { FrameView } from '../core/frame.ts'
import { type Kafka, KafkaError, type KafkaFailure, type Reader, type SourceBatch } from '../kafka/port.ts'
import type { Log } from '../ops/log.ts'
import type { Feed } from '../protocol/messages.ts'
import { FeedFacts, type FeedLimits } from './feed-facts.ts'
import type { LiveView } from './live-view.ts'
import type { PushMetrics } from './push-metrics.ts'

const TICK_MS = 1000
/** Kafka that could not be reached is asked again after this long. */
const ASK_CUT_EVERY_MS = 2000
/** Without an answer for so long Kafka cannot be reached. Clients keep asking far beyond the time that they are given. */
const ASK_MS_MAX = 2000
const ALL_DOWN = '_ALL_BROKERS_DOWN'

export interface FeedWatchOptions {
  kafka: Kafka
  reader: Reader
  views: readonly LiveView[]
  /** By view: the consumer group of the job that writes it. */
  groups: ReadonlyMap<string, string>
  limits: FeedLimits
  callMs: number
  metrics: PushMetrics
  log: Log
  clock: Clock
  scheduler: Scheduler
}

interface Watched {
  view: LiveView
  facts: FeedFacts
  /** Monotonic; -Infinity: not since it was quiet last. */
  askedMs: number
  /** Something is wrong with a connection to Kafka; another may do. */
  isDoubted: boolean
  job: Feed['job']
}

/*
 *   records come ............ live
 *   none for a while -> Kafka is asked for the ends of the topic and for the members of the job's group
 *        no answer .......... cut        all is read ....... quiet, and whether the job runs
 *        records are there .. behind, once they have been there for long enough: a slow reader, or a transaction that hangs
 */
export class FeedWatch {
  readonly #options: FeedWatchOptions
  readonly #watched: Watched[]
  /** Views that are being asked about, and when the question was asked that is out. */
  #asking: readonly Watched[] = []
  #askedSinceMs = Number.POSITIVE_INFINITY
  /** A client that asks for the members of a group may take its time to connect: one at a time, and nobody waits for it for long. */
  #isAskingGroup = false
  #isClosed = false
  #cancelTick: () => void

  constructor(options: FeedWatchOptions) {
    this.#options = options
    const nowMs = options.clock.monotonicMs()
    this.#watched = options.views.map((view) => {
      const facts = new FeedFacts(view.store.offsets, options.limits, nowMs)
      return { view, facts, askedMs: Number.NEGATIVE_INFINITY, isDoubted: false, job: undefined }
    })
    this.#cancelTick = options.scheduler.after(TICK_MS, () => this.#tick())
    for (const watched of this.#watched) this.#judge(watched)
  }

  took({ topic, partition, frame, nextOffset }: SourceBatch): void {
    const view = new FrameView(frame)
    let newestMs = Number.NEGATIVE_INFINITY
    for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
      newestMs = Math.max(newestMs, view.timestampMs(at))
    }
    const nowMs = this.#options.clock.monotonicMs()
    for (const watched of this.#of(topic)) {
      const { state } = watched.view.feed
      watched.facts.took(partition, nextOffset, view.highWatermark, newestMs, nowMs)
      // The next silence is asked about anew.
      if (state === 'quiet') watched.askedMs = Number.NEGATIVE_INFINITY
      if (state !== 'live') this.#judge(watched)
    }
  }

  atEnd({ topic, partition, offset }: { topic: string; partition: number; offset: number }): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const { facts } of this.#of(topic)) facts.atEnd(partition, offset, nowMs)
  }

  /** The reader has failed for now, or it reports an error of the client: with one of its brokers, Kafka is asked. */
  failed({ name, topic }: KafkaFailure, isThrown: boolean): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const watched of topic === undefined ? this.#watched : []) {
      watched.isDoubted = true
      if (!isThrown && name !== ALL_DOWN) continue
      watched.facts.cut(nowMs)
      this.#judge(watched)
    }
  }

  /** A question that is out ends with the reader. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#cancelTick()
  }

  #of(topic: string): Watched[] {
    return this.#watched.filter(({ view }) => view.topic.name === topic)
  }

  #tick(): void {
    const { clock, scheduler } = this.#options
    const nowMs = clock.monotonicMs()
    const toAsk = this.#watched.filter((watched) => this.#isToAsk(watched))
    if (nowMs - this.#askedSinceMs >= ASK_MS_MAX) for (const { facts } of this.#asking) facts.cut(nowMs)
    for (const watched of this.#watched) {
      const isOpen = toAsk.includes(watched) || this.#asking.includes(watched)
      if (!isOpen || nowMs - this.#askedSinceMs >= ASK_MS_MAX) this.#judge(watched)
    }
    if (toAsk.length > 0 && this.#asking.length === 0) void this.#askAll(toAsk)
    this.#cancelTick = scheduler.after(TICK_MS, () => this.#tick())
  }

  /** Silence alone does not say why: Kafka is asked, at first before anybody is told. */
  #isToAsk({ view, facts, askedMs, isDoubted }: Watched): boolean {
    const { clock, limits } = this.#options
    if (view.failure !== undefined) return false
    const nowMs = clock.monotonicMs()
    const { state } = facts.judge(nowMs, clock.wallMs())
    if (state === 'live') return isDoubted
    return nowMs - askedMs >= (state === 'cut' ? ASK_CUT_EVERY_MS : limits.staleAfterMs)
  }

  /** Never rejects. */
  async #askAll(watched: readonly Watched[]): Promise<void> {
    this.#asking = watched
    for (const one of watched) {
      if (this.#isClosed) break
      try {
        await this.#ask(one)
      } catch (error) {
        if (!(error instanceof KafkaError || this.#isClosed))
          this.#options.log.error({ err: error }, 'a view could not be looked after')
        one.facts.cut(this.#options.clock.monotonicMs())
      }
      this.#askedSinceMs = Number.POSITIVE_INFINITY
      one.isDoubted = false
      one.askedMs = this.#options.clock.monotonicMs()
      if (!this.#isClosed) this.#judge(one)
    }
    this.#asking = []
  }

  async #ask(watched: Watched): Promise<void> {
    const { reader, callMs, clock } = this.#options
    const { view, facts } = watched
    for (const partition of view.store.offsets.keys()) {
      this.#askedSinceMs = clock.monotonicMs()
      const { high } = await reader.watermarks({ topic: view.topic.name, partition }, Math.min(callMs, ASK_MS_MAX))
      facts.sawEnd(partition, high, clock.monotonicMs())
    }
    this.#askedSinceMs = Number.POSITIVE_INFINITY
    facts.reached(clock.monotonicMs())
    watched.job = await this.#jobOf(view)
  }

  /** Undefined: this principal or client cannot know. */
  async #jobOf({ name }: LiveView): Promise<Feed['job']> {
    const { groups, log, scheduler } = this.#options
    const group = groups.get(name)
    if (group === undefined || this.#isAskingGroup) return undefined
    let job: Feed['job']
    this.#isAskingGroup = true
    const asking = this.#countMembers(group)
      .then((count) => {
        job = count > 0 ? 'running' : 'absent'
      })
      .catch((error: unknown) => {
        log.debug({ err: error, view: name, group }, 'whether the job of a quiet view runs could not be asked')
      })
      .finally(() => {
        this.#isAskingGroup = false
      })
    await within(scheduler, ASK_MS_MAX, asking)
    return job
  }

  async #countMembers(group: string): Promise<number> {
    const { kafka, callMs } = this.#options
    const admin = await kafka.openAdmin()
    try {
      return (await admin.groupMembers(group, Math.min(callMs, ASK_MS_MAX))).length
    } finally {
      await admin.close()
    }
  }

  /** What clients are told from now on. */
  #judge({ view, facts, job }: Watched): void {
    const { clock, metrics } = this.#options
    const [nowMs, wallMs] = [clock.monotonicMs(), clock.wallMs()]
    const { state, sinceMs, lagRecords } = facts.judge(nowMs, wallMs)
    const lagMs = facts.newestMs === undefined ? null : Math.max(0, wallMs - facts.newestMs)
    const knowsJob = job !== undefined && (state === 'quiet' || state === 'behind')
    const times = { sinceMs: Math.round(wallMs - (nowMs - sinceMs)), lagRecords, lagMs }
    view.takeFeed({ state, ...times, ...(knowsJob ? { job } : {}) })
    metrics.feed(view.name, state, lagRecords)
  }
}
