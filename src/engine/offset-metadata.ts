// The text that rides with a committed offset: the epoch that committed it, the clock of the task, and whose it is. Pure.
// Keeps SPEC: R1 (a watermark survives restarts, of a task without state as well).
import type { TaskClock, TaskPosition } from '../core/message.ts'

export interface OffsetMetadata {
  epoch: number
  /** Before the first record and after the end of input there is none. */
  clock: TaskClock | undefined
  /** The instance that committed it; a reset is none. */
  instanceId: string | undefined
}

const TEXT = /^epoch=(\d{1,15})(?: watermark=(-?\d{1,17}(?:\.\d+)?) time=(-?\d{1,17}(?:\.\d+)?))?(?: instance=(.*))?$/

/**
 * What an epoch notes with the offset of a task.
 *
 * @example
 * offsetMetadata(7, position) // 'epoch=7 watermark=1500 time=2000 instance=candles-1'
 */
export function offsetMetadata(epoch: number, { instanceId, watermarkMs, eventTimeMsMax }: TaskPosition): string {
  const hasClock = Number.isFinite(watermarkMs) && Number.isFinite(eventTimeMsMax)
  const clock = hasClock ? ` watermark=${watermarkMs} time=${eventTimeMsMax}` : ''
  return `epoch=${epoch}${clock} instance=${instanceId}`
}

/** What a job noted with an offset; undefined: another program did, or nobody. */
export function readOffsetMetadata(text: string): OffsetMetadata | undefined {
  const match = TEXT.exec(text)
  if (match === null) return undefined
  const [, epoch, watermarkMs, eventTimeMsMax, instanceId] = match
  const clock =
    watermarkMs === undefined ? undefined : { watermarkMs: Number(watermarkMs), eventTimeMsMax: Number(eventTimeMsMax) }
  return { epoch: Number(epoch), clock, instanceId }
}
