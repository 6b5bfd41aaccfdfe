// The rows of a view with history on their way out: the key of the record is that of the view and the time of the row, and the
// partition is that of the view's key alone. Runs on a lane. One key at a time, written into one array.
// Keeps SPEC: VIEW-3 (rows of a key are in one partition, in order).

import { writeDigits } from '../../codec/numbers.ts'
import { HISTORY_COLON } from '../../core/history-key.ts'
import { partitionOfKey } from '../../core/murmur2.ts'
import type { ViewPlan } from '../../job/plan.ts'

/** A colon, a sign and the digits of a whole number. */
const TIME_BYTES_MAX = 1 + 1 + 16

export class HistoryRows {
  /** Which time of a row is in its key. */
  readonly time: Exclude<ViewPlan['history'], undefined>
  readonly #partitionCount: number
  /** The key that was written last is bytes[0 .. length), its record goes to `partition`. */
  bytes = new Uint8Array(256)
  length = 0
  partition = 0

  /** `partitionCount`: of the view's topic. */
  constructor(time: Exclude<ViewPlan['history'], undefined>, partitionCount: number) {
    this.time = time
    this.#partitionCount = partitionCount
  }

  /** Writes the key of the row of source[start .. start + length) at a time. */
  write(source: Uint8Array, start: number, length: number, timeMs: number): void {
    if (this.bytes.length < length + TIME_BYTES_MAX) this.bytes = new Uint8Array(2 * (length + TIME_BYTES_MAX))
    const { bytes } = this
    for (let i = 0; i < length; i++) bytes[i] = source[start + i]!
    bytes[length] = HISTORY_COLON
    this.length = writeDigits(bytes, length + 1, Math.floor(timeMs))
    this.partition = this.#partitionOf(bytes, length)
  }

  /** The partition of a key that was written before. */
  partitionOf(recordKey: Uint8Array): number {
    return this.#partitionOf(recordKey, recordKey.lastIndexOf(HISTORY_COLON))
  }

  #partitionOf(bytes: Uint8Array, keyBytes: number): number {
    return partitionOfKey(bytes.subarray(0, keyBytes), this.#partitionCount)
  }
}
