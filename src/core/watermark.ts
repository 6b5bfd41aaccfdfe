// The watermark: how far event time is known to be complete. Plain arithmetic. Hot.
// Runs on a lane; pure.
// Keeps SPEC: R1 (max event time - outOfOrder, never back), R4 (end of input = +Infinity), R5 (idle), R7 (absurd times).

/** Event times outside this are no dates of JavaScript; windows could not be computed exactly. */
export const EVENT_TIME_MS_LIMIT = 8.64e15

/** The watermark after an event of `timeMs`. */
export function watermarkAfter(watermarkMs: number, timeMs: number, outOfOrderMs: number): number {
  const moved = timeMs - outOfOrderMs
  return moved > watermarkMs ? moved : watermarkMs
}

/**
 * The watermark of a quiet input (R5): the greatest event time moved on by the time since, less the delay.
 * Before the first record there is no event time to move, so it stays.
 */
export function idleWatermark(
  watermarkMs: number,
  eventTimeMsMax: number,
  elapsedMs: number,
  maxDelayMs: number,
): number {
  if (eventTimeMsMax === Number.NEGATIVE_INFINITY) return watermarkMs
  return Math.max(watermarkMs, eventTimeMsMax + elapsedMs - maxDelayMs)
}

/**
 * R7: true when an event time is too far from the Kafka record's own timestamp, or no date at all. A record without a
 * timestamp (-1) has nothing to be compared with.
 */
export function isAbsurdTime(timeMs: number, recordTimeMs: number, maxFutureMs: number, maxPastMs: number): boolean {
  if (recordTimeMs >= 0 && (timeMs - recordTimeMs > maxFutureMs || recordTimeMs - timeMs > maxPastMs)) return true
  return !(timeMs <= EVENT_TIME_MS_LIMIT && timeMs >= -EVENT_TIME_MS_LIMIT)
}

/** True when going from one greatest event time to another passes a multiple of `everyMs` (never from -Infinity). */
export function isTickBetween(fromMs: number, toMs: number, everyMs: number): boolean {
  return fromMs !== Number.NEGATIVE_INFINITY && Math.floor(toMs / everyMs) > Math.floor(fromMs / everyMs)
}
