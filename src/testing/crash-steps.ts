// The places of a commit at which a test lets the process of a job die. Test processes, main thread.
// Keeps SPEC: TEST-4 (a death at any step of a commit changes no result).

import type { LaneRequest } from '../core/message.ts'
import type { FaultCall } from '../kafka/memory-kafka/faults.ts'

/*
 *   begin -> offsets -> results, changelog, marker -> delivered -> commit -> ... later: the store is written
 *  ^        ^          ^                           ^             ^ sent  ^ answered             ^          ^
 *  |        |          |                           |             |       |                      |          |
 *  before-  after-     after-produce               after-marker  commit- answer-lost            before-    after-
 *  begin    offsets    (some of it)                              lost                           flush      flush
 */

interface CrashPlace {
  when: 'before' | 'after'
  /** A call to Kafka, or the request that makes a lane write its store. */
  call: FaultCall | LaneRequest['op']
  /** The store is written when the job stops. */
  isOfStore: boolean
}

const PLACES = {
  'before-begin': { when: 'before', call: 'begin', isOfStore: false },
  'after-offsets': { when: 'after', call: 'sendOffsets', isOfStore: false },
  'after-produce': { when: 'after', call: 'produce', isOfStore: false },
  // All is produced when the deliveries are waited for; the markers are the last of it.
  'after-marker': { when: 'before', call: 'flush', isOfStore: false },
  'commit-lost': { when: 'before', call: 'commit', isOfStore: false },
  'answer-lost': { when: 'after', call: 'commit', isOfStore: false },
  'before-flush': { when: 'before', call: 'flush', isOfStore: true },
  'after-flush': { when: 'after', call: 'flush', isOfStore: true },
} as const satisfies Record<string, CrashPlace>

/**
 * Where the process dies: `before-begin` of the transaction; `after-offsets` or `after-produce` of a part of the rows are in
 * it; `after-marker`: all is in it; `commit-lost`: the commit was sent and never arrived; `answer-lost`: it is committed, and
 * nobody heard it; `before-flush` and `after-flush` of the store, at a stop.
 */
export type CrashStep = keyof typeof PLACES

/** All steps, in the order of a commit. */
export const CRASH_STEPS = Object.keys(PLACES) as readonly CrashStep[]

/** The step that is set, until it is passed. */
export class CrashPoint {
  #step: CrashStep | undefined

  /** Sets the step; throws RangeError for one that there is not. */
  set(step: CrashStep): void {
    if (!Object.hasOwn(PLACES, step))
      throw new RangeError(`there is no step ${step}; there are ${CRASH_STEPS.join(', ')}`)
    this.#step = step
  }
  clear(): void {
    this.#step = undefined
  }
  get isOfStore(): boolean {
    return this.#step !== undefined && PLACES[this.#step].isOfStore
  }
  /** The step if this is its place; it is passed then. */
  pass(when: 'before' | 'after', call: CrashPlace['call'], isOfStore: boolean): CrashStep | undefined {
    const step = this.#step
    if (step === undefined) return undefined
    const place = PLACES[step]
    if (place.when !== when || place.call !== call || place.isOfStore !== isOfStore) return undefined
    this.#step = undefined
    return step
  }
}
