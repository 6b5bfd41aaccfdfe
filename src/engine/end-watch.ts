// Watches for the end of the input behind a repartition topic, in a run up to the end of its source. Main thread.
// Keeps SPEC: R4 (everything that was read is processed before the run ends), REPART-2.

import type { EngineOptions } from './options.ts'
import type { TaskState } from './task-state.ts'

/** How often it is looked whether everything has come through. */
const END_CHECK_MS = 20

export interface EndWatchOptions {
  engine: EngineOptions
  tasks: readonly TaskState[]
  /** Asks the broker for the high watermark of a task's input. */
  inputEnd: (task: TaskState) => Promise<number>
  /** False once the attempt ends. */
  isLive: () => boolean
  /** The input of this task has ended. */
  ended: (task: TaskState) => void
  onFailure: (error: unknown) => void
}

/*
 *   source tasks     ... end of input | epoch E committed: the ends are in the repartition topic, for good
 *   task behind it                    |   read to the high watermark asked for after E, and every source partition has ended
 */

/** Starts the watch and returns what stops it. Only runs up to the end, with a repartition topic, are watched. */
export function watchEnd(options: EndWatchOptions): () => void {
  const { engine, tasks, isLive, onFailure } = options
  if (!engine.untilEnd || engine.topics.repartitions.length === 0) return () => {}
  let cancel = () => {}
  const check = async (): Promise<void> => {
    try {
      if (tasks.every((task) => !task.isSource || isWritten(task))) {
        await Promise.all(tasks.filter(seemsEnded).map((task) => endIfRead(options, task)))
      }
    } catch (error) {
      onFailure(error)
    }
    if (isLive()) cancel = engine.scheduler.after(END_CHECK_MS, () => void check())
  }
  cancel = engine.scheduler.after(END_CHECK_MS, () => void check())
  return () => cancel()
}

/** Its end is in a committed epoch: nothing of it is under way any more. */
function isWritten(task: TaskState): boolean {
  return task.isEndSent && task.isClockEnded && task.committedOffset === task.processedOffset && isCommitted(task)
}

/** The epoch that its position was sealed in is committed. */
function isCommitted(task: TaskState): boolean {
  return task.position?.isEnded === true && task.position.epoch <= task.committedEpoch
}

function seemsEnded(task: TaskState): boolean {
  const isDone = task.processedOffset === task.dispatchedOffset
  return !task.isSource && !task.isEndSent && task.isClockEnded && task.isAtEnd && isDone
}

async function endIfRead({ inputEnd, isLive, ended }: EndWatchOptions, task: TaskState): Promise<void> {
  const high = await inputEnd(task)
  if (isLive() && seemsEnded(task) && task.endSeenOffset >= high) ended(task)
}
