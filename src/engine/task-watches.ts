// What runs beside the epochs of an attempt: quiet inputs, the end of the input, flushes. Main thread.
// Keeps SPEC: R4, R5, STATE-1.

import { watchEnd } from './end-watch.ts'
import type { Flusher, FlushMoment } from './flusher.ts'
import { watchIdle } from './idle-watch.ts'
import type { EngineOptions } from './options.ts'
import type { TaskState } from './task-state.ts'

export interface TaskWatchOptions {
  engine: EngineOptions
  /** Grows while the attempt runs. */
  tasks: readonly TaskState[]
  flusher: Flusher
  /** Asks the broker for the high watermark of a task's input. */
  inputEnd: (task: TaskState) => Promise<number>
  moment: () => FlushMoment
  /** False once the attempt ends. */
  isLive: () => boolean
  /** Tells a task how long its input has been quiet. */
  sendIdle: (task: TaskState, elapsedMs: number) => void
  /** The input of a task behind a repartition topic has ended. */
  ended: () => void
  onFailure: (error: unknown) => void
}

/** Starts all of them and returns what stops them. */
export function watchTasks(options: TaskWatchOptions): () => void {
  const { tasks, flusher, moment, sendIdle, ended, onFailure } = options
  const cancels = [
    watchIdle({
      ...options,
      sendIdle: (task, elapsedMs) => {
        task.isIdleSent = true
        task.isAwaited = false
        sendIdle(task, elapsedMs)
      },
    }),
    watchEnd({
      ...options,
      ended: (task) => {
        task.isEndSent = true
        ended()
      },
    }),
    flusher.start(tasks, moment, onFailure),
  ]
  return () => {
    for (const cancel of cancels) cancel()
  }
}
