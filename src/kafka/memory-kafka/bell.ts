// The one way in which a memory-kafka call waits: for a condition that a change elsewhere makes true, or for a time-out
// of the injected scheduler. Main thread.

import type { Scheduler } from '../../core/clock.ts'

/** Wakes those who wait for a condition; whoever changes anything rings. */
export class Bell {
  readonly #scheduler: Scheduler
  readonly #waiters = new Set<() => void>()

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  /** Looks at every waiter's condition again. */
  ring(): void {
    for (const wake of [...this.#waiters]) wake()
  }

  /** True as soon as `isMet` holds, false after `waitMs`; `waitMs` 0 only looks. */
  wait(isMet: () => boolean, waitMs: number): Promise<boolean> {
    if (isMet()) return Promise.resolve(true)
    if (waitMs <= 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      const finish = (met: boolean): void => {
        this.#waiters.delete(wake)
        cancel()
        resolve(met)
      }
      const wake = (): void => {
        if (isMet()) finish(true)
      }
      const cancel = this.#scheduler.after(waitMs, () => finish(false))
      this.#waiters.add(wake)
    })
  }
}
