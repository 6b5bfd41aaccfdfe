// Days and minutes of event times, in UTC.

const MINUTE_MS = 60_000
const DAY_MINUTES = 1_440
const DAY_MS = 86_400_000

/** The day of the time before, which is mostly that of the next: its text is made once. */
const last = { day: 0, text: '1970-01-01' }

/** `2025-10-09`. */
export function dayOf(timeMs: number): string {
  const day = Math.floor(timeMs / DAY_MS)
  if (day !== last.day) {
    last.text = new Date(timeMs).toISOString().slice(0, 10)
    last.day = day
  }
  return last.text
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
