// Time for a simulation: it stands still while anything can run, then jumps to the next timer. Clock and scheduler in one.
import type { Clock, Scheduler } from '../../src/core/clock.ts'

interface Timer {
  atMs: number
  /** Timers of one moment go off in the order they were set. */
  order: number
  run: () => void
}

export class VirtualTime implements Clock, Scheduler {
  readonly #startMs: number
  #nowMs = 0
  #setCount = 0
  readonly #timers = new Set<Timer>()

  constructor(startMs: number) {
    this.#startMs = startMs
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

  /**
   * Runs until a condition holds. Throws when it does not within `limitMs` of its own time.
   *
   * @example
   * await time.until(() => job.engine.isRunning, 10_000)
   */
  async until(isMet: () => boolean, limitMs: number): Promise<void> {
    const endMs = this.#nowMs + limitMs
    for (;;) {
      // All that is ready runs, microtasks of microtasks too.
      await new Promise((resolve) => setImmediate(resolve))
      if (isMet()) return
      const next = this.#next()
      if (next === undefined || next.atMs > endMs)
        throw new Error(`not met within ${limitMs} ms of simulated time: ${isMet}`)
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
    }
  }

  /** Runs for so long. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    let isOver = false
    this.after(ms, () => {
      isOver = true
    })
    await this.until(() => isOver, endMs)
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
