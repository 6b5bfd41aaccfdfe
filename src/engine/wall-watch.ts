// Watches the timers of tasks that wait for the wall clock: a lane says the first one with every answer, and is told when it is due.
// Main thread.
// Keeps SPEC: PROCESS-7 (wall timers come by the clock of the instance, after a restart too).

import type { Clock, Scheduler } from '../core/clock.ts'
import { allOperators, type Plan } from '../job/plan.ts'
import type { TaskState } from './task-state.ts'

/** A clock that is put forward is noticed after this time. */
const WAIT_MS_MAX = 1_000

export interface WallWatchOptions {
  engine: { plan: Plan; clock: Clock; scheduler: Scheduler }
  /** Grows while the attempt runs. */
  tasks: readonly TaskState[]
  /** False once the attempt ends: nothing more is sent. */
  isLive: () => boolean
  /** Tells a task what the clock says. */
  sendWall: (task: TaskState, nowMs: number) => void
}

export class WallWatch {
  readonly #options: WallWatchOptions
  #dueMs = Number.POSITIVE_INFINITY
  #cancel = (): void => {}

  constructor(options: WallWatchOptions) {
    this.#options = options
  }

  /** Asks tasks that were opened for their timers: some may be due. */
  ask(tasks: readonly TaskState[]): void {
    const { engine } = this.#options
    const hasTimers = allOperators(engine.plan).some((one) => one.kind === 'process' && one.onTimer !== undefined)
    if (!hasTimers) return
    for (const task of tasks) task.wallTimerMs = Number.NEGATIVE_INFINITY
    this.#look()
  }

  /** A lane has said which timer of a task is the first. */
  note(task: TaskState, timerMs: number): void {
    task.wallTimerMs = timerMs
    if (timerMs < this.#dueMs) this.#wait(timerMs)
  }

  stop(): void {
    this.#cancel()
  }

  #wait(dueMs: number): void {
    const { clock, scheduler } = this.#options.engine
    this.#cancel()
    this.#dueMs = dueMs
    const delayMs = Math.min(WAIT_MS_MAX, Math.max(0, dueMs - clock.wallMs()))
    this.#cancel = scheduler.after(delayMs, () => this.#look())
  }

  #look(): void {
    const { engine, tasks, isLive, sendWall } = this.#options
    if (!isLive()) return
    const nowMs = engine.clock.wallMs()
    this.#dueMs = Number.POSITIVE_INFINITY
    for (const task of tasks) {
      if (task.isEndSent) continue
      if (task.wallTimerMs <= nowMs) {
        // Its answer says the next one.
        task.wallTimerMs = Number.POSITIVE_INFINITY
        sendWall(task, nowMs)
      } else if (task.wallTimerMs < this.#dueMs) this.#wait(task.wallTimerMs)
    }
  }
}
