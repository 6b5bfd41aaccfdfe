// Days and minutes of event times, in UTC.

const MINUTE_MS = 60_000
const DAY_MINUTES = 1_440

/** `2025-10-09`. */
export function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}

/** Minutes since midnight, whole. */
export function minuteOf(timeMs: number): number {
  return Math.floor(timeMs / MINUTE_MS) % DAY_MINUTES
}

/** `08:53` of minutes since midnight. */
export function minuteText(minute: number): string {
  const [hours, minutes] = [Math.floor(minute / 60), minute % 60]
  return `${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`
}
