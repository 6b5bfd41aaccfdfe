// The text that rides with a committed offset: the epoch that committed it, and the clock of the task. Pure.
// Keeps SPEC: R1 (a watermark survives restarts, of a task without state as well).
import type { TaskClock, TaskPosition } from '../core/message.ts'

/**
 * What an epoch notes with the offset of a task. The clock is left out before the first record and after the end of input.
 *
 * @example
 * offsetMetadata(7, position) // 'epoch=7 instance=candles-1 watermark=1500 time=2000'
 */
export function offsetMetadata(epoch: number, { instanceId, watermarkMs, eventTimeMsMax }: TaskPosition): string {
  const text = `epoch=${epoch} instance=${instanceId}`
  if (!Number.isFinite(watermarkMs) || !Number.isFinite(eventTimeMsMax)) return text
  return `${text} watermark=${watermarkMs} time=${eventTimeMsMax}`
}

/** The epoch that a job noted with an offset, 0 without one. */
export function epochOf(metadata: string): number {
  const match = /^epoch=(\d{1,15})(?: |$)/.exec(metadata)
  return match === null ? 0 : Number(match[1])
}

/** The clock that a job noted with an offset, undefined without one. */
export function clockOf(metadata: string): TaskClock | undefined {
  const match = / watermark=(-?[\d.]{1,20}) time=(-?[\d.]{1,20})$/.exec(metadata)
  if (match === null) return undefined
  const clock = { watermarkMs: Number(match[1]), eventTimeMsMax: Number(match[2]) }
  return Number.isNaN(clock.watermarkMs) || Number.isNaN(clock.eventTimeMsMax) ? undefined : clock
}
