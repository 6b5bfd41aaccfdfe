// Durations as people write them, '500ms' or '1.5h', to whole milliseconds and back.
// Runs on every thread; pure.
// Keeps SPEC: JOB-2 (a duration is a whole number of milliseconds with its unit, or it is refused).

/** A duration: a number and its unit, `ms`, `s`, `m` (minutes), `h` or `d`, without spaces: `'500ms'`, `'1.5h'`. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const MS_BY_UNIT: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** 100 years: anything longer is a slip of the pen, and sums of two stay far below 2^53. */
export const DURATION_MS_MAX = 100 * 365 * 86_400_000

/**
 * Milliseconds of a duration, undefined when it is none (no unit, negative, not whole in milliseconds, too long).
 *
 * @example
 * parseDuration('1.5s') // 1500
 */
export function parseDuration(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined
  const parts = /^(\d+)(?:\.(\d{1,6}))?(ms|s|m|h|d)$/.exec(text)
  if (parts === null) return undefined
  // Digits are scaled as integers: 0.1 h must be 360,000 ms and not a rounding away from it.
  const fraction = parts[2] ?? ''
  const scaled = Number(parts[1] + fraction) * MS_BY_UNIT[parts[3]!]!
  const ms = scaled / 10 ** fraction.length
  return Number.isSafeInteger(scaled) && Number.isInteger(ms) && ms <= DURATION_MS_MAX ? ms : undefined
}

/**
 * The shortest way to write a number of milliseconds as a duration.
 *
 * @example
 * formatDuration(90_000) // '90s'
 */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const unitMs = MS_BY_UNIT[unit]!
    if (ms >= unitMs && ms % unitMs === 0) return `${ms / unitMs}${unit}`
  }
  return `${ms}ms`
}
