// Flushes committed state to disk, one task after the other, off the path of records. Main thread.
// Keeps SPEC: STATE-1 (a flush never leads the committed epoch), RECOVER-4 (a restore starts at a bound that is safe), FLOW-1 (records
// wait for a disk that is slower than they are).

import type { EngineOptions } from './options.ts'
import type { TaskState } from './task-state.ts'

/*
 * Where may a restore start reading, once epoch E is on disk? At any offset before which no row of an epoch after E lies.
 * The end of the changelog, measured while epoch M was open, is such an offset for every E >= M:
 *
 *   changelog   ... rows of M-1 | some rows of M | <- measured end | rest of M, M+1, ...
 *
 * So each flush stores the newest measure whose epoch is committed, and measures anew for a later one. Reading a little
 * too much is harmless: rows are whole values, the last one wins.
 */

export interface FlusherOptions {
  engine: EngineOptions
  /** By sub-topology. */
  changelogTopicIds: readonly (string | undefined)[]
  /** Asks the broker for the end of the changelog of a task. */
  changelogEnd: (task: TaskState) => Promise<number>
  /** A round has ended: there may be room again. */
  onRoom: () => void
}

/** Where the attempt stands. */
export interface FlushMoment {
  attempt: number
  openEpoch: number
  committedEpoch: number
}

/** Bytes that are committed while a round of flushes is under way, in limits of one task: more waits for the round to end. */
const BEHIND_LIMITS = 2

export class Flusher {
  readonly #options: FlusherOptions
  #sealedBytes = 0
  #isUrgent = false
  #isRunning = false
  #round: (() => void) | undefined

  constructor(options: FlusherOptions) {
    this.#options = options
  }

  /** Starts the rounds; returns what stops them. `now` tells where the attempt stands. */
  start(tasks: readonly TaskState[], now: () => FlushMoment, onFailure: (error: unknown) => void): () => void {
    const { scheduler, limits, topics } = this.#options.engine
    if (topics.changelogs.every((index) => index < 0)) return () => {}
    let isStopped = false
    let cancel = () => {}
    const round = async (): Promise<void> => {
      if (this.#isRunning || isStopped) return
      this.#isRunning = true
      this.#isUrgent = false
      this.#sealedBytes = 0
      try {
        for (const task of tasks) if (!isStopped) await this.flush(task, now)
      } catch (error) {
        if (!isStopped) onFailure(error)
      }
      this.#isRunning = false
      this.#options.onRoom()
      if (!isStopped) cancel = scheduler.after(this.#isUrgent ? 0 : limits.flushEveryMs, () => void round())
    }
    this.#round = () => {
      cancel()
      void round()
    }
    cancel = scheduler.after(limits.flushEveryMs, () => void round())
    return () => {
      isStopped = true
      this.#round = undefined
      cancel()
    }
  }

  /** Counts changelog bytes committed since the last round; at the limit a round starts at once. */
  sealed(bytes: number, bytesMax: number): void {
    this.#sealedBytes += bytes
    if (this.#sealedBytes < bytesMax || this.#isUrgent) return
    this.#isUrgent = true
    if (!this.#isRunning) this.#round?.()
  }

  /** The disk is slower than the records: what is not on it would grow without end. */
  get isBehind(): boolean {
    return this.#isRunning && this.#sealedBytes > BEHIND_LIMITS * this.#options.engine.limits.unflushedBytesMax
  }

  /** Flushes one task when nothing is open any more: the end of the changelog is where a restore would start. */
  async flushLast(task: TaskState, moment: FlushMoment): Promise<void> {
    if (!task.isStateful || task.committedEpoch <= task.flushedEpoch) return
    task.measured = { offset: await this.#options.changelogEnd(task), epoch: moment.committedEpoch }
    await this.flush(task, () => moment)
  }

  /** Flushes one task, if it has anything committed that is not on disk. */
  async flush(task: TaskState, now: () => FlushMoment): Promise<void> {
    if (!task.isStateful || task.committedEpoch <= task.flushedEpoch) return
    await this.#write(task, now())
    if (task.measured === undefined) {
      const offset = await this.#options.changelogEnd(task)
      task.measured = { offset, epoch: now().openEpoch }
    }
  }

  /**
   * Flushes a task that may have another owner by now. The end of its changelog may be that one's: only what was measured
   * while the task was ours tells where a restore may start.
   */
  async flushGone(task: TaskState, moment: FlushMoment): Promise<void> {
    if (!task.isStateful || task.committedEpoch <= task.flushedEpoch) return
    await this.#write(task, moment)
  }

  async #write(task: TaskState, { attempt, committedEpoch }: FlushMoment): Promise<void> {
    const { engine, changelogTopicIds } = this.#options
    const { measured } = task
    if (measured !== undefined && committedEpoch >= measured.epoch) {
      task.changelogOffset = measured.offset
      task.measured = undefined
    }
    const answer = await engine.lanes.send(task.lane, {
      op: 'flush',
      taskId: task.taskId,
      attempt,
      changelogOffset: task.changelogOffset,
      changelogTopicId: changelogTopicIds[task.sub],
    })
    task.flushedEpoch = answer.epoch
  }
}
