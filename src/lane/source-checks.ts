// Checks that every source record passes before the operators see it: its event time and its key. Hot: one loop a check.
// Runs on a lane.
// Keeps SPEC: R7 (absurd times are dead), SRC-1 (the Kafka key is the declared field), TABLE-4 (a row has a key).

import { TAG_BIG, TAG_MISSING, TAG_NUMBER, TAG_TEXT } from '../core/columns.ts'
import type { FrameView } from '../core/frame.ts'
import type { LaneLimits } from '../core/message.ts'
import {
  DEAD_BIG_INTEGER,
  DEAD_EVENT_TIME,
  DEAD_FIELD,
  DEAD_FUNCTION,
  DEAD_KEY_BYTES,
  DEAD_KEY_MISMATCH,
  DEAD_NO_KEY,
  STATUS_OK,
} from '../core/record-status.ts'
import { isAbsurdTime } from '../core/watermark.ts'
import type { CompiledJob, SourcePlan } from '../job/plan.ts'
import type { Chunk } from './chunk.ts'
import type { ObjectSource } from './frame-run.ts'
import { type JobFunction, jobFunction } from './job-function.ts'

const textEncoder = new TextEncoder()

/** Event time and key of the records of a chunk. */
export class SourceChecks {
  readonly #source: SourcePlan
  readonly #limits: LaneLimits
  readonly #chunk: Chunk
  readonly #objects: ObjectSource
  readonly #timeFunction: JobFunction | undefined
  readonly #isProcessing: boolean
  /** Columns of event time and key, -1: none. */
  readonly #timeField: number
  readonly #keyField: number

  constructor(job: CompiledJob, source: SourcePlan, limits: LaneLimits, chunk: Chunk, objects: ObjectSource) {
    const { fields } = chunk.columns
    this.#source = source
    this.#limits = limits
    this.#chunk = chunk
    this.#objects = objects
    this.#timeFunction = source.eventTime.kind === 'function' ? jobFunction(job, source.eventTime.fn) : undefined
    this.#isProcessing = source.eventTime.kind === 'processing'
    this.#timeField = source.eventTime.kind === 'field' ? fields.indexOf(source.eventTime.field) : -1
    this.#keyField = source.keyField === undefined ? -1 : fields.indexOf(source.keyField)
  }

  /** Sets the event times of the chunk and ends the records that fail. `nowMs`: the time, where it is that of processing. */
  check(view: FrameView, nowMs: number): void {
    if (this.#isProcessing) this.#stamp(nowMs)
    else if (this.#chunk.carried === undefined) this.#readTimes(view)
    if (this.#source.isTable === true) this.#checkTableKeys(view)
    if (this.#keyField >= 0) this.#checkKeys(view)
  }

  /** Processing time: all records of a frame have one. */
  #stamp(nowMs: number): void {
    const { status, timesMs, count } = this.#chunk
    for (let row = 0; row < count; row++) timesMs[row] = status[row] === STATUS_OK ? nowMs : Number.NEGATIVE_INFINITY
  }

  /** Event times, and R7. A record without one ends here. */
  #readTimes(view: FrameView): void {
    const chunk = this.#chunk
    const { status, timesMs, at } = chunk
    const { doubles } = view
    const { maxFutureMs } = this.#source
    const maxPastMs = this.#source.maxPastMs ?? Number.POSITIVE_INFINITY
    const isField = this.#timeField >= 0
    const isTable = this.#source.isTable === true
    const { values } = chunk.columns
    const base = this.#timeField * chunk.capacity
    for (let row = 0; row < chunk.count; row++) {
      if (status[row] !== STATUS_OK) {
        timesMs[row] = Number.NEGATIVE_INFINITY
        continue
      }
      const recordTimeMs = doubles[(at[row]! >> 3) + 3]!
      let timeMs = recordTimeMs
      // What deletes a row has no field to look at.
      if (isTable && chunk.isTombstone(row)) timeMs = Math.floor(recordTimeMs)
      else if (isField) timeMs = Math.floor(values[base + row]!)
      else if (this.#timeFunction !== undefined) timeMs = this.#callTime(row)
      timesMs[row] = timeMs
      if (isAbsurdTime(timeMs, recordTimeMs, maxFutureMs, maxPastMs)) this.#refuseTime(row, timeMs)
    }
  }

  /** The job's own time function; NaN (refused) when it throws or gives no number. */
  #callTime(row: number): number {
    const chunk = this.#chunk
    try {
      const timeMs = this.#timeFunction!(this.#objects.objectAt(row))
      return typeof timeMs === 'number' ? Math.floor(timeMs) : Number.NaN
    } catch (error) {
      chunk.failThrown(row, DEAD_FUNCTION, error)
      return Number.NaN
    }
  }

  #refuseTime(row: number, timeMs: number): void {
    const chunk = this.#chunk
    chunk.timesMs[row] = Number.NEGATIVE_INFINITY
    if (chunk.status[row] !== STATUS_OK) return
    if (!Number.isNaN(timeMs)) chunk.fail(row, DEAD_EVENT_TIME, timeMs)
    else if (this.#timeField >= 0) this.#refuseField(row, this.#timeField)
    else chunk.failThrown(row, DEAD_FUNCTION, 'the event time is not a number')
  }

  #refuseField(row: number, field: number): void {
    const tag = this.#chunk.columns.tags[field * this.#chunk.capacity + row]
    this.#chunk.fail(row, tag === TAG_BIG ? DEAD_BIG_INTEGER : DEAD_FIELD, field)
  }

  /** A record of a table, also one that deletes a row, has a key that state can have. */
  #checkTableKeys({ words }: FrameView): void {
    const chunk = this.#chunk
    const { status, timesMs, at } = chunk
    for (let row = 0; row < chunk.count; row++) {
      if (status[row] !== STATUS_OK) continue
      const keyBytes = words[(at[row]! >> 2) + 1]!
      if (keyBytes >= 0 && keyBytes <= this.#limits.keyBytesMax) continue
      chunk.fail(row, keyBytes < 0 ? DEAD_NO_KEY : DEAD_KEY_BYTES, keyBytes)
      timesMs[row] = Number.NEGATIVE_INFINITY
    }
  }

  /** The Kafka key must be the text of the declared field. A record that fails does not move the watermark. */
  #checkKeys(view: FrameView): void {
    const chunk = this.#chunk
    const { status, timesMs, at } = chunk
    const { tags, starts, lengths } = chunk.columns
    const { bytes, words } = view
    const { keyBytesMax } = this.#limits
    const isTable = this.#source.isTable === true
    const base = this.#keyField * chunk.capacity
    for (let row = 0; row < chunk.count; row++) {
      if (status[row] !== STATUS_OK) continue
      if (isTable && chunk.isTombstone(row)) continue
      const record = at[row]!
      const keyBytes = words[(record >> 2) + 1]!
      if (keyBytes <= keyBytesMax && tags[base + row] === TAG_TEXT && lengths[base + row] === keyBytes) {
        const start = starts[base + row]!
        let i = 0
        while (i < keyBytes && bytes[start + i] === bytes[record + 32 + i]) i++
        if (i === keyBytes) continue
      }
      this.#refuseKey(row, bytes, record + 32, keyBytes)
      if (status[row] !== STATUS_OK) timesMs[row] = Number.NEGATIVE_INFINITY
    }
  }

  /** A key that is not byte for byte the field's text: too long, another text, or a field that is a number. */
  #refuseKey(row: number, bytes: Uint8Array, start: number, keyBytes: number): void {
    const chunk = this.#chunk
    if (keyBytes > this.#limits.keyBytesMax) chunk.fail(row, DEAD_KEY_BYTES, keyBytes)
    else if (chunk.columns.tags[this.#keyField * chunk.capacity + row] === TAG_TEXT) {
      chunk.fail(row, DEAD_KEY_MISMATCH, this.#keyField)
    } else this.#checkOddKey(row, bytes, start, keyBytes)
  }

  /** A key field that is a number, or that was decoded. */
  #checkOddKey(row: number, bytes: Uint8Array, start: number, keyBytes: number): void {
    const { columns, capacity } = this.#chunk
    const tag = columns.tags[this.#keyField * capacity + row]
    const value = columns.valueAt(this.#keyField, row)
    if (tag === TAG_BIG || tag === TAG_MISSING || (tag === TAG_NUMBER && !Number.isSafeInteger(value))) {
      this.#refuseField(row, this.#keyField)
    } else if (typeof value !== 'string' && typeof value !== 'number') {
      this.#chunk.fail(row, DEAD_FIELD, this.#keyField)
    } else if (!isTextAt(String(value), bytes, start, keyBytes)) {
      this.#chunk.fail(row, DEAD_KEY_MISMATCH, this.#keyField)
    }
  }
}

/** True when the bytes are the UTF-8 of the text. */
function isTextAt(text: string, bytes: Uint8Array, start: number, length: number): boolean {
  if (text.length === length) {
    let i = 0
    while (i < length && text.charCodeAt(i) === bytes[start + i] && bytes[start + i]! < 0x80) i++
    if (i === length) return true
  }
  const encoded = textEncoder.encode(text)
  return encoded.length === length && encoded.every((byte, i) => byte === bytes[start + i])
}
