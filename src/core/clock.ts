// Time as an argument: engine, committer and push get a clock and a scheduler, so that tests and the simulation drive
// them by hand. Pure interfaces; any thread.

/** Tells time. Intervals are measured in monotonic time, only timestamps are wall time. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  wallMs(): number
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number
}

/** Runs a function once, later. */
export interface Scheduler {
  /** Returns the function that cancels it. */
  after(delayMs: number, run: () => void): () => void
}

/** Resolves after `delayMs` of the scheduler's time. */
export function delay(scheduler: Scheduler, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    scheduler.after(delayMs, resolve)
  })
}

/** Whether `done` comes within the time; rejects when it does. */
export async function within(scheduler: Scheduler, limitMs: number, done: Promise<unknown>): Promise<boolean> {
  let cancel = () => {}
  const late = new Promise<boolean>((resolve) => {
    cancel = scheduler.after(limitMs, () => resolve(false))
  })
  return await Promise.race([done.then(() => true), late]).finally(() => cancel())
}
