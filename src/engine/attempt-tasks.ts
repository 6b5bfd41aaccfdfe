// The tasks of an attempt: those it began with, and those that are admitted while it runs. Main thread.

import type { TopicPartition } from '../kafka/port.ts'
import type { TaskState } from './task-state.ts'

export class AttemptTasks {
  /** Grows in place: flushes and the watch of idle inputs go over it again and again. */
  readonly all: TaskState[] = []
  readonly #byPartition = new Map<string, (TaskState | undefined)[]>()
  readonly #byId = new Map<string, TaskState>()
  /** No more of them will be admitted. */
  isComplete: boolean

  constructor(tasks: readonly TaskState[], isComplete: boolean) {
    this.isComplete = isComplete
    this.add(tasks)
  }

  add(tasks: readonly TaskState[]): void {
    for (const task of tasks) {
      this.all.push(task)
      this.#byId.set(task.taskId, task)
      const ofTopic = this.#byPartition.get(task.topic) ?? []
      ofTopic[task.partition] = task
      this.#byPartition.set(task.topic, ofTopic)
    }
  }
  of({ topic, partition }: TopicPartition): TaskState | undefined {
    return this.#byPartition.get(topic)?.[partition]
  }
  byId(taskId: string): TaskState | undefined {
    return this.#byId.get(taskId)
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
