// The tasks of an attempt: those it began with, and those that are admitted while it runs. Main thread.

import type { TaskState } from './task-state.ts'

export class AttemptTasks {
  /** Grows in place: flushes and the watch of idle inputs go over it again and again. */
  readonly all: TaskState[] = []
  readonly #byPartition: (TaskState | undefined)[] = []
  /** No more of them will be admitted. */
  isComplete: boolean

  constructor(tasks: readonly TaskState[], isComplete: boolean) {
    this.isComplete = isComplete
    this.add(tasks)
  }

  add(tasks: readonly TaskState[]): void {
    for (const task of tasks) {
      this.all.push(task)
      this.#byPartition[task.partition] = task
    }
  }
  of(partition: number): TaskState | undefined {
    return this.#byPartition[partition]
  }
  /** The last epoch that any of them has committed, by whoever owned it. */
  get epochMax(): number {
    return this.all.reduce((most, task) => Math.max(most, task.position?.epoch ?? 0), 0)
  }
  get lanes(): number[] {
    return [...new Set(this.all.map((task) => task.lane))]
  }
  get lagRecords(): number {
    let lag = 0
    for (const task of this.all) lag += Math.max(0, task.highWatermark - task.processedOffset)
    return lag
  }
  /** With `untilEnd`: all of the input has been read. */
  get haveEnded(): boolean {
    return this.isComplete && this.all.every((task) => task.isEndSent)
  }
}
