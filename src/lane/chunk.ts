// A chunk: up to a few thousand records of one frame as columns, on their way through the steps of a job. Hot.
// Runs on a lane. Every step sees the records in the order of the partition and may end some of them with a status.
// Keeps SPEC: COUNT-1 (every record ends as accepted, late, dead or filtered), R3 (order is the partition's order).

import { Columns } from '../core/columns.ts'
import { STATUS_OK } from '../core/record-status.ts'

/** Large enough to spread the cost of a loop, small enough that the columns stay in the second cache. */
export const CHUNK_RECORDS_MAX = 2048

/** An event that is no record of its own has this index. */
export const SINGLE_EVENT = -1

/** What came with the rows of a chunk through a repartition topic: see core/carried.ts. */
export class CarriedColumns {
  /** The watermark of the task after each row, by the clocks of all its source partitions. */
  readonly watermarksMs: Float64Array
  readonly partitions: Int32Array
  readonly offsets: Float64Array
  /** The first key of the record; length -1: it had none. */
  readonly keyStarts: Int32Array
  readonly keyLengths: Int32Array
  /** 1: the row is none any more, a view forgets it. */
  readonly isRetracted: Uint8Array

  constructor(capacity: number) {
    this.watermarksMs = new Float64Array(capacity)
    this.partitions = new Int32Array(capacity)
    this.offsets = new Float64Array(capacity)
    this.keyStarts = new Int32Array(capacity)
    this.keyLengths = new Int32Array(capacity)
    this.isRetracted = new Uint8Array(capacity)
  }

  copyRow(from: CarriedColumns, row: number, to: number): void {
    this.watermarksMs[to] = from.watermarksMs[row]!
    this.partitions[to] = from.partitions[row]!
    this.offsets[to] = from.offsets[row]!
    this.keyStarts[to] = from.keyStarts[row]!
    this.keyLengths[to] = from.keyLengths[row]!
    this.isRetracted[to] = from.isRetracted[row]!
  }
}

/**
 * Rows of typed arrays, one a record (or an event of an envelope, or an output of flatMap). Made once and reused.
 */
export class Chunk {
  count = 0
  readonly capacity: number
  readonly columns: Columns
  readonly status: Uint8Array
  /** What a dead record's text needs: the index of a field, a size in bytes. */
  readonly detail: Float64Array
  /** Where the Kafka record begins in its frame. */
  readonly at: Int32Array
  /** The bytes of the event: the value, or its part of an envelope. */
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly eventIndexes: Int32Array
  /** Event times in whole ms; -Infinity where there is none, so that the maximum ignores them. */
  readonly timesMs: Float64Array
  /** Decoded events, by row; undefined where nobody asked for the object yet. */
  readonly objects: unknown[] = []
  /** Of a chunk whose records came through a repartition topic. */
  readonly carried: CarriedColumns | undefined
  /** True once a function made the objects: they are no longer what the bytes say. */
  isChanged = false
  /** Texts of dead records that have one of their own (what a function threw), by row. */
  readonly reasons = new Map<number, string>()

  constructor(fields: readonly string[], isCarried = false, capacity = CHUNK_RECORDS_MAX) {
    this.capacity = capacity
    this.columns = new Columns(fields, capacity)
    this.status = new Uint8Array(capacity)
    this.detail = new Float64Array(capacity)
    this.at = new Int32Array(capacity)
    this.starts = new Int32Array(capacity)
    this.ends = new Int32Array(capacity)
    this.eventIndexes = new Int32Array(capacity)
    this.timesMs = new Float64Array(capacity)
    this.carried = isCarried ? new CarriedColumns(capacity) : undefined
  }

  /** Empties it. Objects are let go. */
  reset(): void {
    this.columns.clear(this.count)
    this.count = 0
    this.objects.length = 0
    this.isChanged = false
    if (this.reasons.size > 0) this.reasons.clear()
  }

  /** A record of a table that has no value: it deletes the row of its key. */
  isTombstone(row: number): boolean {
    return this.ends[row]! < this.starts[row]!
  }

  /** Ends record `row` with a status. */
  fail(row: number, status: number, detail = 0): void {
    this.status[row] = status
    this.detail[row] = detail
  }

  /** Ends record `row` because something of the job threw. */
  failThrown(row: number, status: number, thrown: unknown): void {
    this.fail(row, status)
    this.reasons.set(row, reasonOf(thrown))
  }

  /** Appends a copy of a row of another chunk, without its columns and object. Gives the new row. */
  copyRow(from: Chunk, row: number): number {
    const to = this.count++
    this.status[to] = from.status[row]!
    this.detail[to] = from.detail[row]!
    this.at[to] = from.at[row]!
    this.starts[to] = from.starts[row]!
    this.ends[to] = from.ends[row]!
    this.eventIndexes[to] = from.eventIndexes[row]!
    this.timesMs[to] = from.timesMs[row]!
    if (from.carried !== undefined) this.carried!.copyRow(from.carried, row, to)
    if (this.status[to] !== STATUS_OK) {
      const reason = from.reasons.get(row)
      if (reason !== undefined) this.reasons.set(to, reason)
    }
    return to
  }
}

const REASON_LENGTH_MAX = 500

/** The text of whatever was thrown, cut to a length that fits a header and a log line. */
export function reasonOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message || thrown.name : String(thrown)
  return text.length > REASON_LENGTH_MAX ? `${text.slice(0, REASON_LENGTH_MAX)}…` : text
}
