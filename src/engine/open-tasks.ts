// The tasks that are open on the lanes, over attempts and rebalances: suspended by a revoke, resumed where they stood when
// the next assignment has them, closed when it has not. Main thread.
// Keeps SPEC: GROUP-1 (a kept task is resumed unchanged, or reopened), GROUP-2 (only moved tasks are opened).

import { topologyOf } from '../job/topology.ts'
import { partitionKey, type TopicPartition } from '../kafka/port.ts'
import type { Flusher, FlushMoment } from './flusher.ts'
import type { EngineOptions } from './options.ts'
import { laneOf, subOf, type TaskState, taskIdOf } from './task-state.ts'

/*
 *              suspend                     resume
 *   running  ----------->  suspended  ------------------>  running
 *                              |       in the next assignment, ours ever since, offsets unchanged
 *                              +------> closed, after a flush
 *                                       anything else
 */

interface Suspended {
  task: TaskState
  /** The generation in which it ran. */
  generation: number
  moment: FlushMoment
}

export interface ResumeOptions {
  attempt: number
  partitions: readonly TopicPartition[]
  /** By partition: since which generation it has been ours without a break. */
  since: ReadonlyMap<string, number>
  /** The group's offsets of these partitions, stable; undefined when it was cancelled. */
  committed: (partitions: TopicPartition[]) => Promise<((partition: TopicPartition) => number | undefined) | undefined>
  flusher: Flusher
}

export class OpenTasks {
  readonly #engine: EngineOptions
  #suspended = new Map<string, Suspended>()

  constructor(engine: EngineOptions) {
    this.#engine = engine
  }

  /** Takes the tasks of an attempt that ended drained: all they have done is committed. */
  suspend(tasks: readonly TaskState[], generation: number, moment: FlushMoment): void {
    for (const task of tasks) this.#suspended.set(partitionKey(task), { task, generation, moment })
  }

  /**
   * Ends the suspension of all tasks: what may go on does so in the new attempt and is returned, the rest is flushed and
   * closed. Nothing is resumed when the offsets were not to be had because the assignment is over already.
   */
  async resume(options: ResumeOptions): Promise<TaskState[]> {
    const kept = options.partitions.filter((partition) => this.#isOursSince(partition, options.since))
    const committed = kept.length === 0 ? undefined : await options.committed(kept)
    if (kept.length > 0 && committed === undefined) return []
    const unmoved = kept.flatMap((partition) => {
      const { task } = this.#suspended.get(partitionKey(partition))!
      if (committed!(partition) === task.committedOffset) return [task]
      const { taskId, committedOffset: known } = task
      this.#engine.log.warn({ task: taskId, known, committed: committed!(partition) }, 'the offset of a task was moved')
      return []
    })
    const resumed = unmoved.filter((task) => this.#isWhole(task, unmoved))
    for (const task of resumed) this.#suspended.delete(partitionKey(task))
    await Promise.all([
      this.closeSuspended(options.attempt, options.flusher),
      ...resumed.map((task) => this.#wake(task, options.attempt)),
    ])
    return resumed
  }

  /**
   * Closes what is suspended; with a flusher, what is committed goes to disk before, for a warm start later, as long as the
   * time for that is not over.
   */
  async closeSuspended(attempt: number, flusher: Flusher | undefined, flushMs = Infinity): Promise<void> {
    const gone = [...this.#suspended.values()]
    this.#suspended.clear()
    const { clock } = this.#engine
    const untilMs = clock.monotonicMs() + flushMs
    const lanes = [...new Set(gone.map(({ task }) => task.lane))]
    const closeOn = async (lane: number): Promise<void> => {
      for (const { task, moment } of gone.filter((one) => one.task.lane === lane)) {
        if (flusher !== undefined && clock.monotonicMs() < untilMs) await this.#flushGone(flusher, task, moment)
        await this.#close(task, attempt)
      }
    }
    await Promise.all(lanes.map(closeOn))
  }

  /** Closes the tasks of these partitions, whether they are open or not. */
  async close(partitions: readonly TopicPartition[], attempt: number): Promise<void> {
    for (const partition of partitions) this.#suspended.delete(partitionKey(partition))
    await Promise.all(partitions.map((partition) => this.#close(partition, attempt)))
  }

  #isOursSince(partition: TopicPartition, since: ReadonlyMap<string, number>): boolean {
    const suspended = this.#suspended.get(partitionKey(partition))
    return suspended !== undefined && (since.get(partitionKey(partition)) ?? Infinity) <= suspended.generation
  }

  /** Tasks that keep one state go on together or not at all: it is of the places of all of them. */
  #isWhole({ topic, partition }: TaskState, tasks: readonly TaskState[]): boolean {
    const { plan } = this.#engine
    const { subs, units } = topologyOf(plan)
    const unitOf = (one: TopicPartition): number => subs[subOf(plan, one.topic)]!.unit
    const unit = unitOf({ topic, partition })
    const there = tasks.filter((one) => one.partition === partition && unitOf(one) === unit)
    return there.length === units[unit]!.subs.length
  }

  async #wake(task: TaskState, attempt: number): Promise<void> {
    const { taskId, lane, processedOffset } = task
    await this.#engine.lanes.send(lane, { op: 'resume', taskId, attempt })
    task.isAtEnd = false
    task.endSeenOffset = -1
    task.mustAnnounce = task.isHeard && task.isEndSent
    this.#engine.log.info(
      { task: taskId, inputOffset: processedOffset },
      'task resumed: it stayed here, with its state',
    )
  }

  /** What cannot be flushed is read from the changelog again, should the task come back: no reason to stop. */
  async #flushGone(flusher: Flusher, task: TaskState, moment: FlushMoment): Promise<void> {
    try {
      await flusher.flushGone(task, moment)
    } catch (error) {
      this.#engine.log.warn({ task: task.taskId, error: String(error) }, 'flushing a task that moved away failed')
    }
  }

  async #close({ topic, partition }: TopicPartition, attempt: number): Promise<void> {
    const { lanes, log, plan } = this.#engine
    const taskId = taskIdOf(subOf(plan, topic), partition)
    try {
      await lanes.send(laneOf(partition, lanes.count), { op: 'close', taskId, attempt })
    } catch (error) {
      log.warn({ task: taskId, error: String(error) }, 'closing a task failed')
    }
  }
}
