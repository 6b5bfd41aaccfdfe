// What an attempt is made of, and how it ends. Main thread; types only.

import type { LaneRequest } from '../core/message.ts'
import type { GroupMetadata } from '../kafka/port.ts'
import type { Flusher } from './flusher.ts'
import type { EngineOptions } from './options.ts'
import type { TaskState } from './task-state.ts'
import type { Transaction } from './transaction.ts'

/** Why an attempt ended. */
export type AttemptEnd =
  /** Drained and committed: on request, or at the end of the input. */
  { kind: 'drained' } | { kind: 'failed'; error: unknown }

export interface AttemptOptions {
  engine: EngineOptions
  number: number
  tasks: TaskState[]
  /** False: more tasks are being opened and will be admitted. */
  isComplete: boolean
  transaction: Transaction
  flusher: Flusher
  group: GroupMetadata
  /** A frame's memory is not needed any more. */
  recycle: (frame: ArrayBuffer) => void
  /** Asks the broker for the high watermark of an input partition. */
  inputEnd: (task: TaskState) => Promise<number>
  /** Room appeared or disappeared: the ingest loop looks at `hasRoom` again. */
  onRoom: () => void
}

type Told<Op extends LaneRequest['op']> = Omit<Extract<LaneRequest, { op: Op }>, 'taskId' | 'attempt' | 'epoch'>
/** What a task may be told of time without a frame. */
export type ClockMove = Told<'idle'> | Told<'wall'> | Told<'advance'> | Told<'end'>
