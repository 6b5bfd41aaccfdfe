// Reads a compacted topic to its end and tells which keys have a row. Main thread.
// Keeps SPEC: RESET-3 (no row survives a reset), RECOVER-2 (nothing is believed before the end was reached).

import type { Clock } from '../core/clock.ts'
import { FrameView } from '../core/frame.ts'
import type { TaskPosition } from '../core/message.ts'
import { STALL_LIMIT_MS } from '../engine/epoch/recovery.ts'
import type { Reader } from '../kafka/port.ts'
import { decodeMarker } from '../lane/marker.ts'
import { isMarkerKey } from '../state/keys.ts'
import { RowLayer } from '../state/row-layer.ts'

export interface SweepOptions {
  reader: Reader
  clock: Clock
  topic: string
  partition: number
  /** Its bounds; `high` is read uncommitted, so reaching it means that no transaction was open. */
  low: number
  high: number
  /** A changelog: rows of the key of markers are no rows. */
  hasMarkers: boolean
  pollRecordsMax: number
  pollBytesMax: number
  /** Keys in memory, in bytes. Over it those that have a row are handed over and forgotten; some may come again then. */
  keysBytesMax: number
  /** Takes keys that have a row. The bytes are valid during the call. */
  onLive: (keys: Iterable<Uint8Array>) => Promise<void>
  /** The sweep is not wanted any more: throws. */
  check: () => void
}

export interface Swept {
  /** Keys handed over. */
  rowCount: number
  /** The last marker, for a changelog. */
  marker: TaskPosition | undefined
  /** Greatest epoch of all markers, 0 without one. */
  epochMax: number
  /** The end was not reached: an open transaction holds readers back at `readOffset`. */
  stalledAt: number | undefined
}

const POLL_WAIT_MS = 100
const NO_BYTES = new Uint8Array(0)

/** Reads one partition. Memory is bounded by `keysBytesMax` and the limits of a poll. */
export async function sweepPartition(options: SweepOptions): Promise<Swept> {
  const { reader, topic, partition, low, high } = options
  const sweep = new Sweep(options)
  if (low < high) {
    reader.assign([{ topic, partition, offset: low }])
    await sweep.readToEnd()
    reader.assign([])
  }
  await sweep.handOver()
  return sweep.swept
}

class Sweep {
  readonly swept: Swept = { rowCount: 0, marker: undefined, epochMax: 0, stalledAt: undefined }
  readonly #options: SweepOptions
  /** Keys seen since the last hand-over: a value (of no bytes) for one with a row, a tombstone for one without. */
  readonly #keys = new RowLayer()
  #readOffset: number
  #movedMs: number

  constructor(options: SweepOptions) {
    this.#options = options
    this.#readOffset = options.low
    this.#movedMs = options.clock.monotonicMs()
  }

  async readToEnd(): Promise<void> {
    const { reader, clock, high, pollRecordsMax: recordsMax, pollBytesMax: bytesMax, check } = this.#options
    while (this.#readOffset < high) {
      check()
      const result = await reader.poll({ recordsMax, bytesMax, waitMs: POLL_WAIT_MS })
      for (const { frame, nextOffset } of result.batches) {
        this.#take(new FrameView(frame))
        reader.recycle(frame)
        this.#moveTo(nextOffset)
        if (this.#keys.bytes > this.#options.keysBytesMax) await this.handOver()
      }
      for (const end of result.ends) this.#moveTo(end.offset)
      if (clock.monotonicMs() - this.#movedMs < STALL_LIMIT_MS) continue
      this.swept.stalledAt = this.#readOffset
      return
    }
  }

  async handOver(): Promise<void> {
    const { rowCount } = this.#keys
    if (rowCount === 0) return
    await this.#options.onLive(this.#live())
    this.#keys.clear()
  }

  *#live(): Generator<Uint8Array> {
    for (const [key, value] of this.#keys.rows()) {
      if (value === undefined) continue
      this.swept.rowCount++
      yield key
    }
  }

  #moveTo(offset: number): void {
    if (offset <= this.#readOffset) return
    this.#readOffset = offset
    this.#movedMs = this.#options.clock.monotonicMs()
  }

  #take(view: FrameView): void {
    for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
      const key = view.key(at)
      if (key === undefined) continue
      const hasValue = view.valueBytes(at) >= 0
      if (this.#options.hasMarkers && isMarkerKey(key)) this.#takeMarker(view, at)
      else this.#keys.set(key, hasValue ? NO_BYTES : undefined)
    }
  }

  /** A marker that cannot be read is no reason not to reset: it is replaced. */
  #takeMarker(view: FrameView, at: number): void {
    const value = view.value(at)
    const marker = value === undefined ? undefined : decodeMarker(value)
    if (marker === undefined) return
    this.swept.marker = marker
    this.swept.epochMax = Math.max(this.swept.epochMax, marker.epoch)
  }
}
