// Watches for quiet inputs, where a job closes its windows on them, or where other partitions wait for them. Main thread.
// Keeps SPEC: R5 (a quiet input moves its task's watermark by the time it has been quiet; it holds no other back).

import { topologyOf } from '../job/topology.ts'
import type { EngineOptions } from './options.ts'
import type { TaskState } from './task-state.ts'

/** Idle inputs are looked at this often. */
const IDLE_CHECK_MS = 100

export interface IdleWatchOptions {
  engine: EngineOptions
  tasks: readonly TaskState[]
  /** Asks the broker for the high watermark of a task's input. */
  inputEnd: (task: TaskState) => Promise<number>
  /** False once the attempt ends: nothing more is sent. */
  isLive: () => boolean
  /** Tells a task how long its input has been quiet. */
  sendIdle: (task: TaskState, elapsedMs: number) => void
}

/**
 * Starts the watch and returns what stops it. Only tasks of sources are watched: for `closeOnIdle`, again and again; for
 * those who wait for them, once.
 */
export function watchIdle(options: IdleWatchOptions): () => void {
  const { engine, tasks, isLive } = options
  const { plan, scheduler, clock } = engine
  const { subs } = topologyOf(plan)
  const isWatched = subs.map(
    ({ isSource, source, isHeard }) => isSource && (source.closeOnIdle !== undefined || isHeard),
  )
  if (!isWatched.includes(true)) return () => {}
  let cancel = () => {}
  const check = (): void => {
    for (const task of tasks) {
      const { source } = subs[task.sub]!
      if (!isWatched[task.sub] || (task.isIdleSent && source.closeOnIdle === undefined)) continue
      const sinceMs = Math.max(task.lastRecordMs, task.awaitedSinceMs)
      if (seemsIdle(task) && clock.monotonicMs() - sinceMs >= source.idleAfterMs) void closeIfIdle(options, task)
    }
    if (isLive()) cancel = scheduler.after(IDLE_CHECK_MS, check)
  }
  cancel = scheduler.after(IDLE_CHECK_MS, check)
  return () => cancel()
}

function seemsIdle(task: TaskState): boolean {
  const isDone = task.processedOffset === task.dispatchedOffset
  return task.isAtEnd && isDone && !task.isEndSent && !task.isAskedIdle
}

/**
 * What was read to its end may still have records behind an open transaction, or have got some since: only a position at
 * the high watermark is idle. A broker that does not answer says nothing; the next check asks again.
 */
async function closeIfIdle({ engine, inputEnd, isLive, sendIdle }: IdleWatchOptions, task: TaskState): Promise<void> {
  task.isAskedIdle = true
  try {
    const high = await inputEnd(task)
    if (task.endSeenOffset < high || !isLive()) return
  } catch (error) {
    engine.log.warn({ task: task.taskId, error: String(error) }, 'asking for the end of a quiet input failed')
    return
  } finally {
    task.isAskedIdle = false
  }
  if (seemsIdle(task)) sendIdle(task, engine.clock.monotonicMs() - task.lastRecordMs)
}
