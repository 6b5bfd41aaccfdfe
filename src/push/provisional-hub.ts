// Takes rows before their commit from the engine in this process to the views that show them. Main thread.
// Keeps SPEC: PROV-1 (a row is shown while its attempt may still commit it), PROV-4 (nothing is looked at that nobody asked for).

import type { Clock, Scheduler } from '../core/clock.ts'
import { FrameView } from '../core/frame.ts'
import { historyPlace } from '../core/history-key.ts'
import { partitionOfKey } from '../core/murmur2.ts'
import type { ProvisionalRows } from '../core/provisional.ts'
import type { LiveView } from './live-view.ts'
import { type RowDecoder, rowOf } from './row-json.ts'

const EXPIRE_EVERY_MS = 250

/** A view that shows rows before their commit. */
export interface ProvisionalView {
  view: LiveView
  decode: RowDecoder
}

/**
 * Between an engine and the push server of its process. The engine gets it at its making, the server when it is there; without a
 * server, and without a client that asks, rows pass by.
 *
 * @example
 * const hub = new ProvisionalHub(new Map([[topicIndex, 'job-view-candles']]))
 * const engine = new Engine({ ...inputs, provisional: hub })
 * const push = await startPush({ kafka, views, port: 0, log, provisional: hub })
 */
export class ProvisionalHub implements ProvisionalRows {
  /** By index in the topics of the plan: the topics of the views that want such rows. */
  readonly #topics: ReadonlyMap<number, string>
  /** By topic. */
  #views = new Map<string, ProvisionalView>()
  #clock: Clock | undefined
  /** The attempt that runs, for a server that comes later. */
  #attempt: number | undefined

  constructor(topics: ReadonlyMap<number, string>) {
    this.#topics = topics
  }

  /** The views of the server, among them those of the topics that it was made for. Returns what lets go of them. */
  attach(views: readonly ProvisionalView[], clock: Clock, scheduler: Scheduler): () => void {
    const topics = new Set(this.#topics.values())
    const mine = views.filter(({ view }) => topics.has(view.topic.name))
    this.#views = new Map(mine.map((one) => [one.view.topic.name, one]))
    this.#clock = clock
    if (this.#attempt !== undefined) this.begun(this.#attempt)
    const expire = (): void => {
      for (const { view } of mine) if (view.provisional.expire(clock.monotonicMs())) view.tellProvisional()
      cancel = scheduler.after(EXPIRE_EVERY_MS, expire)
    }
    let cancel = scheduler.after(EXPIRE_EVERY_MS, expire)
    return () => {
      cancel()
      this.#views = new Map()
    }
  }

  begun(attempt: number): void {
    this.#attempt = attempt
    this.#each((view) => view.provisional.begun(attempt))
  }

  given(attempt: number, epoch: number, frame: ArrayBuffer): void {
    const asked = new Map<number, ProvisionalView>()
    for (const [index, topic] of this.#topics) {
      const one = this.#views.get(topic)
      if (one?.view.isProvisionalAsked) asked.set(index, one)
    }
    if (asked.size === 0) return
    const view = new FrameView(frame)
    const touched = new Set<LiveView>()
    for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
      const one = asked.get(view.topicIndex(at))
      if (one === undefined) continue
      one.view.reading(() => this.#give(one, attempt, epoch, view, at))
      touched.add(one.view)
    }
    for (const one of touched) one.tellProvisional()
  }

  committed(attempt: number, epoch: number): void {
    for (const { view } of this.#views.values()) view.provisional.committed(attempt, epoch)
  }

  ended(attempt: number): void {
    if (this.#attempt === attempt) this.#attempt = undefined
    this.#each((view) => view.provisional.ended(attempt))
  }

  /** A record that is no row is left to the reader of the topic, which says so. */
  #give({ view, decode }: ProvisionalView, attempt: number, epoch: number, frame: FrameView, at: number): void {
    const row = rowOf(frame, at, decode)
    if (typeof row === 'string') return
    const place = view.history === undefined ? undefined : historyPlace(row.key)
    if (view.history !== undefined && place === undefined) return
    const key = place === undefined ? frame.key(at)! : Buffer.from(place.key)
    const partition = partitionOfKey(key, view.store.offsets.length)
    const given = { partition, timestampMs: frame.timestampMs(at), place, ...row }
    view.provisional.give(attempt, epoch, given, this.#clock!.monotonicMs())
  }

  /** Clients hear of the rows, and of whether there may be any. */
  #each(change: (view: LiveView) => void): void {
    for (const { view } of this.#views.values()) {
      change(view)
      view.tellProvisional()
    }
  }
}
