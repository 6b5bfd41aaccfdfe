// Copies of short byte ranges that are kept for some time, many in one buffer: each of its own would cost more than its bytes.
// Runs on a lane. Hot.
// Keeps SPEC: LIMIT-1 (what is kept has a size: a buffer lives as long as one of its copies, so buffers are small).

const POOL_BYTES = 1 << 13
/** Longer ones have a buffer of their own. */
const SHARED_BYTES_MAX = 1 << 10

/**
 * @example
 * const bytes = pool.copy(frame, start, end)
 */
export class BytePool {
  #pool = new Uint8Array(POOL_BYTES)
  #used = 0

  /** A copy of source[start .. end). */
  copy(source: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start
    if (length > SHARED_BYTES_MAX) return source.slice(start, end)
    if (this.#used + length > POOL_BYTES) {
      this.#pool = new Uint8Array(POOL_BYTES)
      this.#used = 0
    }
    const pool = this.#pool
    const at = this.#used
    this.#used = at + length
    for (let i = 0; i < length; i++) pool[at + i] = source[start + i]!
    return pool.subarray(at, at + length)
  }
}
