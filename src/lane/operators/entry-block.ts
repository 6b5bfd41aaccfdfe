// Records of a join that wait, some of them in one row of state, back to back. Runs on a lane, owned by one task of a join. Hot.
// Keeps SPEC: JOIN-1 (a record is found by its key, its time and its bounds), STATE-9 (read back, a row is what it was).

/*
 *   entry   u32 key bytes | u32 value bytes | f64 time | f64 first time that it meets | f64 deadline | key | value
 *
 * All little-endian, entries in the order that they came. Where each begins, and the hash of its key, the row says.
 */
import { ByteCell } from '../../state/byte-cell.ts'
import { copyBytes, equalBytes } from '../../state/byte-hash.ts'
import { type BlockArena, roomFor } from './block-arena.ts'
import type { ByteRange } from './derived.ts'

const KEY_BYTES = 0
const VALUE_BYTES = 4
const TIME = 8
const FROM = 16
const DEADLINE = 24
const HEADER_BYTES = 32

/** The first entry of a block brings room for as many like it; when that is used up, it doubles. */
const FIRST_ROOM = 8
const FIRST_ROOM_BYTES_MAX = 1 << 10
const NO_BYTES = new Uint8Array(0)

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

// Of the entry at `at`, in the bytes or the view that it lies in.

/** True when it is of the key. */
export function isEntryOf(entry: Uint8Array, at: number, { bytes, start, length }: ByteRange): boolean {
  if (readU32(entry, at + KEY_BYTES) !== length) return false
  return equalBytes(entry, at + HEADER_BYTES, bytes, start, length)
}
export function entryTimeMs(view: DataView, at: number): number {
  return view.getFloat64(at + TIME, true)
}
export function entryFromMs(view: DataView, at: number): number {
  return view.getFloat64(at + FROM, true)
}
export function entryDeadlineMs(view: DataView, at: number): number {
  return view.getFloat64(at + DEADLINE, true)
}
/** Where its record begins. */
export function entryValueAt(entry: Uint8Array, at: number): number {
  return at + HEADER_BYTES + readU32(entry, at + KEY_BYTES)
}

/** An entry as what it is. */
export function entryAt(bytes: Uint8Array, at: number): { key: Uint8Array; value: Uint8Array } & NewEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const valueAt = entryValueAt(bytes, at)
  return {
    key: bytes.slice(at + HEADER_BYTES, valueAt),
    value: bytes.slice(valueAt, valueAt + readU32(bytes, at + VALUE_BYTES)),
    timeMs: entryTimeMs(view, at),
    fromMs: entryFromMs(view, at),
    deadlineMs: entryDeadlineMs(view, at),
  }
}

/** The bytes of a row, in an arena. */
export class EntryBlock extends ByteCell {
  /** In the arena, -1: none yet. */
  place = -1
  #room = 0

  constructor() {
    super(NO_BYTES, 0, 0)
  }

  /** Takes a copy of what was read from the store; there is no entry yet. */
  fill(bytes: Uint8Array, arena: BlockArena): void {
    this.#moveTo(roomFor(bytes.length), arena)
    this.bytes.set(bytes, this.start)
    this.length = bytes.length
  }

  /** Gives the offset of the new entry from where the block begins. */
  append(key: ByteRange, value: ByteRange, { timeMs, fromMs, deadlineMs }: NewEntry, arena: BlockArena): number {
    const offset = this.length
    const size = entryBytes(key, value)
    if (offset + size > this.#room) this.#grow(offset + size, arena)
    const view = arena.viewAt(this.place)
    const at = this.start + offset
    view.setUint32(at + KEY_BYTES, key.length, true)
    view.setUint32(at + VALUE_BYTES, value.length, true)
    view.setFloat64(at + TIME, timeMs, true)
    view.setFloat64(at + FROM, fromMs, true)
    view.setFloat64(at + DEADLINE, deadlineMs, true)
    copyBytes(this.bytes, at + HEADER_BYTES, key.bytes, key.start, key.length)
    copyBytes(this.bytes, at + HEADER_BYTES + key.length, value.bytes, value.start, value.length)
    this.length = offset + size
    return offset
  }

  /** The row is no more: its place is for others. */
  release(arena: BlockArena): void {
    if (this.place >= 0) arena.release(this.place, this.#room)
    this.place = -1
  }

  #grow(length: number, arena: BlockArena): void {
    const first = Math.max(length, Math.min(length * FIRST_ROOM, FIRST_ROOM_BYTES_MAX))
    this.#moveTo(roomFor(this.length === 0 ? first : length), arena)
  }

  #moveTo(room: number, arena: BlockArena): void {
    const place = arena.take(room)
    const bytes = arena.bytesAt(place)
    const start = arena.startOf(place)
    copyBytes(bytes, start, this.bytes, this.start, this.length)
    this.release(arena)
    this.place = place
    this.bytes = bytes
    this.start = start
    this.#room = room
  }
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
