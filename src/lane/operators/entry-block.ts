// Records of a join that wait, some of them in one row of state, back to back. Runs on a lane, owned by one task of a join. Hot.
// Keeps SPEC: JOIN-1 (a record is found by its key, its time and its bounds), STATE-9 (read back, a row is what it was), LIMIT-1 (what
// is kept has a size: memory that blocks share lives as long as one of them, so it is small).

/*
 *   entry   u32 key bytes | u32 value bytes | f64 time | f64 first time that it meets | f64 deadline | key | value
 *
 * All little-endian, entries in the order that they came. Where each begins, and the hash of its key, the row says.
 */
import { ByteCell } from '../../state/byte-cell.ts'
import { copyBytes, equalBytes } from '../../state/byte-hash.ts'
import type { ByteRange } from './derived.ts'
import { keptObject } from './table-rows.ts'

const KEY_BYTES = 0
const VALUE_BYTES = 4
const TIME = 8
const FROM = 16
const DEADLINE = 24
const HEADER_BYTES = 32

/** The first entry of a block brings room for as many like it; when that is used up, it doubles. */
const FIRST_ROOM = 8
const FIRST_ROOM_BYTES_MAX = 1 << 10
/** Memory that blocks share. Those with more room than a quarter of it have memory of their own. */
const PAGE_BYTES = 1 << 13

/** An entry to be. Times are in ms since the epoch. */
export interface NewEntry {
  timeMs: number
  /** The first time of a record of the other side that it meets. */
  fromMs: number
  deadlineMs: number
}

/** What an entry takes. */
export function entryBytes(key: ByteRange, value: ByteRange): number {
  return HEADER_BYTES + key.length + value.length
}

/** Memory for blocks, of a page after the other. */
export class BlockPages {
  bytes = new Uint8Array(0)
  view = new DataView(this.bytes.buffer)
  #used = PAGE_BYTES

  /** Sets `bytes` and `view` to memory with `length` bytes of room; gives where they begin. */
  take(length: number): number {
    if (length > PAGE_BYTES / 4) {
      this.#renew(length)
      this.#used = PAGE_BYTES
      return 0
    }
    if (this.#used + length > PAGE_BYTES) {
      this.#renew(PAGE_BYTES)
      this.#used = 0
    }
    const start = this.#used
    this.#used += length
    return start
  }

  #renew(length: number): void {
    this.bytes = new Uint8Array(length)
    this.view = new DataView(this.bytes.buffer)
  }
}

/** Offsets of entries count from the beginning of the block. */
export class EntryBlock extends ByteCell {
  #view: DataView
  #room: number

  /** Takes over bytes that nobody else writes to. */
  constructor(bytes: Uint8Array) {
    super(bytes, 0, bytes.length)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#room = bytes.length
  }

  /** True when the entry is of the key. */
  isOf(offset: number, { bytes, start, length }: ByteRange): boolean {
    const at = this.start + offset
    if (this.#view.getUint32(at + KEY_BYTES, true) !== length) return false
    return equalBytes(this.bytes, at + HEADER_BYTES, bytes, start, length)
  }
  timeMs(offset: number): number {
    return this.#view.getFloat64(this.start + offset + TIME, true)
  }
  fromMs(offset: number): number {
    return this.#view.getFloat64(this.start + offset + FROM, true)
  }
  deadlineMs(offset: number): number {
    return this.#view.getFloat64(this.start + offset + DEADLINE, true)
  }
  /** The record, decoded anew: whoever gets it may change it. */
  objectOf(offset: number): unknown {
    return keptObject(this.bytes, this.#valueAt(offset))
  }

  /** An entry as what it is. */
  entryAt(offset: number): { key: Uint8Array; value: Uint8Array } & NewEntry {
    const at = this.start + offset
    const valueAt = this.#valueAt(offset)
    return {
      key: this.bytes.slice(at + HEADER_BYTES, valueAt),
      value: this.bytes.slice(valueAt, valueAt + this.#view.getUint32(at + VALUE_BYTES, true)),
      timeMs: this.timeMs(offset),
      fromMs: this.fromMs(offset),
      deadlineMs: this.deadlineMs(offset),
    }
  }

  /** Gives the offset of the new entry. */
  append(key: ByteRange, value: ByteRange, { timeMs, fromMs, deadlineMs }: NewEntry, pages: BlockPages): number {
    const offset = this.length
    const size = entryBytes(key, value)
    if (offset + size > this.#room) this.#grow(offset + size, pages)
    const view = this.#view
    const at = this.start + offset
    view.setUint32(at + KEY_BYTES, key.length, true)
    view.setUint32(at + VALUE_BYTES, value.length, true)
    view.setFloat64(at + TIME, timeMs, true)
    view.setFloat64(at + FROM, fromMs, true)
    view.setFloat64(at + DEADLINE, deadlineMs, true)
    copyBytes(this.bytes, at + HEADER_BYTES, key.bytes, key.start, key.length)
    copyBytes(this.bytes, at + HEADER_BYTES + key.length, value.bytes, value.start, value.length)
    this.length += size
    return offset
  }

  /** Where the record of an entry begins, in `bytes`. */
  #valueAt(offset: number): number {
    const at = this.start + offset
    return at + HEADER_BYTES + this.#view.getUint32(at + KEY_BYTES, true)
  }

  #grow(length: number, pages: BlockPages): void {
    const room = this.length === 0 ? Math.min(length * FIRST_ROOM, FIRST_ROOM_BYTES_MAX) : this.#room * 2
    this.#room = Math.max(length, room)
    const start = pages.take(this.#room)
    copyBytes(pages.bytes, start, this.bytes, this.start, this.length)
    this.bytes = pages.bytes
    this.#view = pages.view
    this.start = start
  }
}
