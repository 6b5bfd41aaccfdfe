// The clocks of the source partitions behind a task that reads a repartition topic, and the watermark they give together.
// Runs on a lane; pure. Hot: one update a record.
// Keeps SPEC: R1 (a task takes the minimum over the source partitions that are not idle or ended; it never goes back).

/** A source partition as a marker of the changelog keeps it. */
export interface SourceClock {
  watermarkMs: number
  isIdle: boolean
}

/**
 * One clock a source partition. The minimum is kept up to date: only the slowest partition's move makes it be looked for.
 *
 * @example
 * const clocks = new SourceClocks(2)
 * clocks.set(0, 1_000, false) // -Infinity: nothing is known of partition 1
 * clocks.set(1, 400, false) // 400
 */
export class SourceClocks {
  #watermarksMs: Float64Array
  #isIdle: Uint8Array
  /** The watermark of the task, ms. */
  watermarkMs = Number.NEGATIVE_INFINITY

  constructor(partitionCount: number) {
    this.#watermarksMs = new Float64Array(partitionCount).fill(Number.NEGATIVE_INFINITY)
    this.#isIdle = new Uint8Array(partitionCount)
  }

  /** Takes up what a marker of the changelog kept; partitions that are new since then begin anew. */
  restore(clocks: readonly SourceClock[], watermarkMs: number): void {
    this.#grow(clocks.length)
    clocks.forEach((clock, partition) => {
      this.#watermarksMs[partition] = clock.watermarkMs
      this.#isIdle[partition] = clock.isIdle ? 1 : 0
    })
    this.watermarkMs = watermarkMs
  }

  /** Partition `partition` has come to `watermarkMs`. Gives the watermark of the task. */
  set(partition: number, watermarkMs: number, isIdle: boolean): number {
    if (partition >= this.#isIdle.length) this.#grow(partition + 1)
    const known = this.#watermarksMs[partition]!
    const wasIdle = this.#isIdle[partition] === 1
    if (watermarkMs > known) this.#watermarksMs[partition] = watermarkMs
    if (wasIdle !== isIdle) this.#isIdle[partition] = isIdle ? 1 : 0
    // Who was ahead of the minimum stays ahead of it.
    else if (known > this.watermarkMs && !isIdle) return this.watermarkMs
    const least = this.#least()
    if (least > this.watermarkMs) this.watermarkMs = least
    return this.watermarkMs
  }

  /** A source may get more partitions while instances run that have not heard of them. */
  #grow(count: number): void {
    const before = this.#isIdle.length
    if (count <= before) return
    const watermarksMs = new Float64Array(count).fill(Number.NEGATIVE_INFINITY)
    watermarksMs.set(this.#watermarksMs)
    const isIdle = new Uint8Array(count)
    isIdle.set(this.#isIdle)
    this.#watermarksMs = watermarksMs
    this.#isIdle = isIdle
  }

  /** No partition that has not ended has records. */
  get isIdle(): boolean {
    return this.#isIdle.every((isIdle, i) => isIdle === 1 || this.#watermarksMs[i] === Number.POSITIVE_INFINITY)
  }

  /** All partitions have ended. */
  get isEnded(): boolean {
    return this.watermarkMs === Number.POSITIVE_INFINITY
  }

  all(): SourceClock[] {
    return Array.from(this.#watermarksMs, (watermarkMs, partition) => {
      return { watermarkMs, isIdle: this.#isIdle[partition] === 1 }
    })
  }

  /**
   * Over the partitions that have not ended and are not idle. When all of those are idle, over those of which anything is
   * known: their watermarks move on where the job closes windows on idle. +Infinity only when all have ended.
   */
  #least(): number {
    let leastLive = Number.POSITIVE_INFINITY
    let leastIdle = Number.POSITIVE_INFINITY
    let isAnyOpen = false
    let isAnyLive = false
    for (let i = 0; i < this.#isIdle.length; i++) {
      const watermarkMs = this.#watermarksMs[i]!
      if (watermarkMs === Number.POSITIVE_INFINITY) continue
      isAnyOpen = true
      if (this.#isIdle[i] === 0) {
        isAnyLive = true
        if (watermarkMs < leastLive) leastLive = watermarkMs
      } else if (watermarkMs !== Number.NEGATIVE_INFINITY && watermarkMs < leastIdle) leastIdle = watermarkMs
    }
    if (!isAnyOpen) return Number.POSITIVE_INFINITY
    if (isAnyLive) return leastLive
    return leastIdle === Number.POSITIVE_INFINITY ? this.watermarkMs : leastIdle
  }
}
