// A latch to wait on: `ring` wakes whoever waits, and is remembered when nobody does. Main thread.

import type { Scheduler } from '../core/clock.ts'

/**
 * One waiter at a time.
 *
 * @example
 * const wake = new Wake(scheduler)
 * await wake.wait(100) // until ring() or 100 ms
 */
export class Wake {
  readonly #scheduler: Scheduler
  #isRung = false
  #waiter: (() => void) | undefined

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }
  ring(): void {
    const waiter = this.#waiter
    if (waiter === undefined) {
      this.#isRung = true
      return
    }
    this.#waiter = undefined
    waiter()
  }
  /** Resolves when rung, at the latest after `limitMs` (undefined: no limit of its own, the ringer answers for it). */
  wait(limitMs?: number): Promise<void> {
    if (this.#isRung) {
      this.#isRung = false
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const cancel = limitMs === undefined ? undefined : this.#scheduler.after(limitMs, () => this.ring())
      this.#waiter = () => {
        cancel?.()
        resolve()
      }
    })
  }
}
