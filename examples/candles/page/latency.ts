// From the time of an event to its row on the screen: p50 and p99 of the last ten seconds. Pure.

const WINDOW_MS = 10_000
const SAMPLES_MAX = 5000

export class Latency {
  readonly #samples: { atMs: number; millis: number }[] = []

  add(atMs: number, millis: number): void {
    this.#samples.push({ atMs, millis })
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift()
  }

  /** What was measured before does not tell of now. */
  clear(): void {
    this.#samples.length = 0
  }

  /** Undefined: nothing was drawn in this time. */
  of(nowMs: number): { p50: number; p99: number } | undefined {
    const samples = this.#samples
    while (samples.length > 0 && samples[0]!.atMs < nowMs - WINDOW_MS) samples.shift()
    if (samples.length === 0) return undefined
    const sorted = samples.map(({ millis }) => millis).sort((a, b) => a - b)
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
    return { p50: at(0.5), p99: at(0.99) }
  }
}
