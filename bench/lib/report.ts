// What a bench says: words on stderr, one JSON object as the last line of stdout, and the exit code. Main thread.

/** A line for people. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** The result of a command. `correct` false sets the exit code. */
export interface Report {
  readonly command: string
  readonly correct: boolean
  readonly [name: string]: unknown
}

export function report(result: Report): void {
  process.stdout.write(`${JSON.stringify(result)}\n`)
  if (!result.correct) process.exitCode = 1
}

/**
 * Runs a bench; a failure is told with its stack and sets exit code 1. Whatever the bench left open (sockets of clients)
 * does not keep the process alive.
 */
export async function runBench(bench: () => Promise<void>): Promise<void> {
  try {
    await bench()
  } catch (error) {
    tell(error instanceof Error ? (error.stack ?? error.message) : String(error))
    process.exitCode = error instanceof RangeError || error instanceof TypeError ? 2 : 1
  }
}

/** The middle of some numbers (of an even count: the mean of the two in the middle); NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The value at or below which `percent` (over 0 to 100) of the values lie (nearest rank); NaN of none. */
export function percentileOf(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN
}

/** A number with so many digits after the point: what a reader of JSON wants to see. */
export function rounded(value: number, digits = 3): number {
  return Math.round(value * 10 ** digits) / 10 ** digits
}
