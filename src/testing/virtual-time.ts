// Time for tests and simulations: it stands still while anything can run, then jumps to the next timer. Clock and scheduler
// in one. Test processes, main thread.
// Keeps SPEC: TEST-2 (nothing waits in real time, and a run repeats).

import type { Clock, Scheduler } from '../core/clock.ts'

interface Timer {
  atMs: number
  /** Timers of one moment go off in the order they were set. */
  order: number
  run: () => void
}

/** Real time for work outside of the event loop (a write to LMDB): far above what any takes. */
const OUTSIDE_WORK_MS = 60_000

export interface VirtualTimeOptions {
  /** True while something is under way outside of the event loop: time does not move until it is done. Default: never. */
  isBusy?: () => boolean
}

/**
 * A clock that moves only as it is told, and timers that go off only then.
 *
 * @example
 * const time = new VirtualTime(0)
 * const kafka = createMemoryKafka({ clock: time, scheduler: time })
 * await time.until(() => engine.isRunning, 10_000)
 */
export class VirtualTime implements Clock, Scheduler {
  readonly #startMs: number
  readonly #isBusy: () => boolean
  #nowMs = 0
  #setCount = 0
  readonly #timers = new Set<Timer>()

  /** `startMs`: the wall clock at the start, ms since the epoch. */
  constructor(startMs: number, { isBusy = () => false }: VirtualTimeOptions = {}) {
    this.#startMs = startMs
    this.#isBusy = isBusy
  }
  wallMs(): number {
    return this.#startMs + this.#nowMs
  }
  monotonicMs(): number {
    return this.#nowMs
  }
  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#setCount++, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve)
    })
  }

  /** Lets all that is ready run, microtasks of microtasks too; no timer goes off. */
  async settle(): Promise<void> {
    const sinceMs = performance.now()
    do {
      await new Promise((resolve) => setImmediate(resolve))
      if (performance.now() - sinceMs > OUTSIDE_WORK_MS)
        throw new Error(`work outside of the event loop is not done after ${OUTSIDE_WORK_MS} ms`)
    } while (this.#isBusy())
  }

  /**
   * Runs until a condition holds. Throws when it does not within `limitMs` of its own time.
   *
   * @example
   * await time.until(() => job.engine.isRunning, 10_000)
   */
  async until(isMet: () => boolean, limitMs: number): Promise<void> {
    const endMs = this.#nowMs + limitMs
    for (;;) {
      await this.settle()
      if (isMet()) return
      if (!this.runNext(endMs)) throw new Error(`not met within ${limitMs} ms of simulated time: ${isMet}`)
    }
  }

  /** Runs for so long: also what is due at the end of it. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    do await this.settle()
    while (this.runNext(endMs))
    this.#nowMs = endMs
  }

  /** Lets the next timer go off; false when none does up to `endMs`. */
  runNext(endMs: number): boolean {
    const next = this.#next()
    if (next === undefined || next.atMs > endMs) return false
    this.#timers.delete(next)
    this.#nowMs = Math.max(this.#nowMs, next.atMs)
    next.run()
    return true
  }

  #next(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      const isEarlier =
        next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)
      if (isEarlier) next = timer
    }
    return next
  }
}
