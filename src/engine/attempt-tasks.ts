// The tasks of an attempt: those it began with, and those that are admitted while it runs. Main thread.
// Keeps SPEC: MEET-1, REPART-2 (who was quiet is waited for again).

import type { LaneSealed } from '../core/message.ts'
import type { Plan } from '../job/plan.ts'
import { type SubTopology, topologyOf } from '../job/topology.ts'
import type { SourceBatch, TopicPartition } from '../kafka/port.ts'
import { checkSinkTimes, type SinkTimes } from './sink-times.ts'
import { isReadToOpenedEnd, lagOf, type TaskState, taskIdOf } from './task-state.ts'
import type { EpochOffset } from './transaction.ts'

type SealedTask = LaneSealed['tasks'][number]

export class AttemptTasks {
  /** Grows in place: flushes and the watch of idle inputs go over it again and again. */
  readonly all: TaskState[] = []
  readonly #byPartition = new Map<string, (TaskState | undefined)[]>()
  readonly #byId = new Map<string, TaskState>()
  readonly #subs: readonly SubTopology[]
  /** No more of them will be admitted. */
  isComplete: boolean

  constructor(plan: Plan, tasks: readonly TaskState[], isComplete: boolean) {
    this.#subs = topologyOf(plan).subs
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
  /** A task that waits for the tables of its partition to be read. */
  isHeld(partition: TopicPartition): boolean {
    const task = this.of(partition)
    if (task === undefined) return false
    return this.#subs[task.sub]!.tables.some((sub) => {
      const table = this.#byId.get(taskIdOf(sub, task.partition))
      return table !== undefined && !isReadToOpenedEnd(table)
    })
  }
  of({ topic, partition }: TopicPartition): TaskState | undefined {
    return this.#byPartition.get(topic)?.[partition]
  }
  /**
   * Takes the positions of a sealed epoch and gives the offsets that it commits.
   *
   * @throws MR4009, MR4016 for rows too old for their topics: by the times that are new, a task that only moves its
   *   watermark has none
   */
  sealed(touched: readonly SealedTask[], sinkTimes: readonly SinkTimes[], wallMs: number): EpochOffset[] {
    return touched.map(({ taskId, position }) => {
      const task = this.#byId.get(taskId)!
      const { eventTimeMsMax } = position
      if (eventTimeMsMax > task.judgedTimeMs) checkSinkTimes(sinkTimes, eventTimeMsMax, wallMs)
      task.judgedTimeMs = Math.max(task.judgedTimeMs, eventTimeMsMax)
      task.position = position
      return { topic: task.topic, partition: task.partition, position }
    })
  }
  /**
   * The source was quiet and has records again: those of other partitions may be on their way, so all are waited for, and
   * those who wait for them have to hear that first. True when that is so.
   */
  endsPause(batches: readonly SourceBatch[], nowMs: number): boolean {
    const quiet = batches.some((batch) => {
      const task = this.of(batch)
      return task?.isSource === true && !task.isAwaited
    })
    const before = this.#heard
    if (!quiet || before.length === 0 || before.some((task) => task.isAwaited)) return false
    this.#awaitAll(nowMs)
    return true
  }
  /** Tasks have begun anew with records waiting: the same, as those of the others may be on their way. True when some have. */
  beginsAnew(tasks: readonly TaskState[], nowMs: number): boolean {
    if (!tasks.some((task) => task.mustAnnounce)) return false
    this.#awaitAll(nowMs)
    return true
  }
  /** Tasks that others wait for, whose input goes on. */
  get #heard(): TaskState[] {
    return this.all.filter((task) => task.isSource && task.isHeard && !task.isEndSent)
  }
  #awaitAll(nowMs: number): void {
    for (const task of this.#heard) {
      if (task.isAwaited) continue
      task.mustAnnounce = true
      task.isIdleSent = false
      task.isAwaited = true
      task.awaitedSinceMs = nowMs
    }
  }
  committed(epoch: number, touched: readonly SealedTask[]): void {
    for (const { taskId, position } of touched) {
      const task = this.#byId.get(taskId)!
      task.committedEpoch = epoch
      task.committedOffset = position.inputOffset
    }
  }
  /** The last epoch that any of them has committed, by whoever owned it. */
  get epochMax(): number {
    return this.all.reduce((most, task) => Math.max(most, task.position?.epoch ?? 0), 0)
  }
  get lanes(): number[] {
    return [...new Set(this.all.map((task) => task.lane))]
  }
  get lagRecords(): number {
    return this.all.reduce((lag, task) => lag + lagOf(task), 0)
  }
  /** With `untilEnd`: all of the input has been read. */
  get haveEnded(): boolean {
    return this.isComplete && this.all.every((task) => task.isEndSent)
  }
}
