// What a view's copy on disk holds, as bytes: keys, rows, the changes of one write, and what the rows are of. Main thread; pure.
// Keeps SPEC: PUSH-41 (a copy of another view, topic, format or time is not used).

import { pack, unpack } from 'msgpackr'
import type { Offsets } from './position-token.ts'
import type { ViewRow } from './view-store.ts'

/** Goes up when the bytes mean something else: copies of before are built anew. */
export const COPY_VERSION = 1
/** Of a key in UTF-8. In the copy one of 1,200 takes 1,801 bytes at most, and LMDB takes 1,978. */
export const KEY_BYTES_MAX = 1200

/*
 * Keys:
 *   row       1 | the key in CESU-8
 *   changes   2 | last sequence, u48 (BE)
 *
 * CESU-8 is UTF-8 of code units: a surrogate has three bytes of its own, so bytes sort as code units do, which is the order of keys that
 * clients are told. For keys without surrogates, which is nearly all, it is UTF-8.
 *
 * Values:
 *   row       0 u32 partition (LE) | 4 f64 offset | 12 f64 timestamp | 20 f64 sequence | 28 u8 1: its window is closed | 29 JSON, UTF-8
 *   changes   msgpack
 */
const ROW = 1
const CHANGES = 2
const ROW_HEAD_BYTES = 29
const SURROGATES = /[\ud800-\udfff]/

/** A change as the copy remembers it. */
export type Change = [
  sequence: number,
  partition: number,
  offset: number,
  timestampMs: number,
  isRemoval: boolean,
  key: string,
]

/** The changes of one write. */
export interface ChangeBatch {
  /** Sequences; what is missing between them was replaced by a newer change. */
  first: number
  last: number
  /** Next offsets as of the last one. */
  offsets: Offsets
  changes: Change[]
}

/** Whose copy it is. */
export interface CopyIdentity {
  view: string
  topic: string
  topicId: string
  /** How values become rows. */
  format: string
}

/** How far the rows of a copy are, and what is remembered of the time before. */
export interface CopyState {
  sequence: number
  /** By partition: the next offset to come. */
  offsets: Offsets
  /** Changes up to this sequence are not remembered, by partition those before these offsets. */
  forgottenSequence: number
  forgotten: Offsets
  forgottenRemovals: Offsets
  rowCount: number
  /** Bytes that all rows would take in memory. */
  rowBytes: number
  /** When the topic was read from its start, wall clock. */
  openedMs: number
  /** At this time nothing of the topic was missing; 0: that was not so yet. Wall clock. */
  wholeMs: number
}

export type CopyMeta = CopyIdentity & CopyState & { version: number }

export function rowKey(key: string): Uint8Array {
  return withPrefix(ROW, cesu8(key))
}
/** Rows are from `rowKey('')` up to this. */
export const ROWS_END: Uint8Array = Uint8Array.of(CHANGES)
export const CHANGES_START: Uint8Array = ROWS_END
export const CHANGES_END: Uint8Array = Uint8Array.of(CHANGES + 1)

export function keyOfRow(bytes: Uint8Array): string {
  return fromCesu8(bytes.subarray(1))
}

export function changesKey(lastSequence: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(7)
  bytes[0] = CHANGES
  bytes.writeUIntBE(lastSequence, 1, 6)
  return bytes
}

export function rowValue({ partition, offset, timestampMs, sequence, isFinal, json }: ViewRow): Uint8Array {
  const jsonBytes = Buffer.byteLength(json)
  const bytes = Buffer.allocUnsafe(ROW_HEAD_BYTES + jsonBytes)
  bytes.writeUInt32LE(partition, 0)
  bytes.writeDoubleLE(offset, 4)
  bytes.writeDoubleLE(timestampMs, 12)
  bytes.writeDoubleLE(sequence, 20)
  bytes[28] = isFinal ? 1 : 0
  bytes.write(json, ROW_HEAD_BYTES)
  return bytes
}

export function rowOfValue(key: string, value: Uint8Array): ViewRow {
  const bytes = asBuffer(value)
  return {
    key,
    partition: bytes.readUInt32LE(0),
    offset: bytes.readDoubleLE(4),
    timestampMs: bytes.readDoubleLE(12),
    sequence: bytes.readDoubleLE(20),
    revision: 0,
    json: bytes.toString('utf8', ROW_HEAD_BYTES),
    isRemoval: false,
    isFinal: bytes[28] === 1,
    isCurrent: true,
    place: undefined,
  }
}

export function packChanges(batch: ChangeBatch): Uint8Array {
  return pack(batch)
}
export function unpackChanges(bytes: Uint8Array): ChangeBatch {
  return unpack(bytes) as ChangeBatch
}
export function packMeta(meta: CopyMeta): Uint8Array {
  return pack(meta)
}
/** Undefined: of another version. The bytes have a CRC around them, so they are what was packed. */
export function unpackMeta(bytes: Uint8Array): CopyMeta | undefined {
  const meta = unpack(bytes) as CopyMeta
  return meta.version === COPY_VERSION ? meta : undefined
}

function withPrefix(prefix: number, key: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(1 + key.length)
  bytes[0] = prefix
  bytes.set(key, 1)
  return bytes
}

function cesu8(text: string): Uint8Array {
  if (!SURROGATES.test(text)) return Buffer.from(text)
  const parts: Uint8Array[] = []
  let start = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0xd800 || unit > 0xdfff) continue
    if (i > start) parts.push(Buffer.from(text.slice(start, i)))
    parts.push(Uint8Array.of(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)))
    start = i + 1
  }
  if (start < text.length) parts.push(Buffer.from(text.slice(start)))
  return Buffer.concat(parts)
}

function fromCesu8(bytes: Uint8Array): string {
  const buffer = asBuffer(bytes)
  let text = ''
  let start = 0
  // 0xED begins a code unit from U+D000 on, with a second byte from 0xA0 on a surrogate.
  for (let at = buffer.indexOf(0xed); at >= 0; at = buffer.indexOf(0xed, at + 1)) {
    if (buffer[at + 1]! < 0xa0) continue
    text += buffer.toString('utf8', start, at)
    text += String.fromCharCode(0xd000 | ((buffer[at + 1]! & 0x3f) << 6) | (buffer[at + 2]! & 0x3f))
    start = at + 3
  }
  return text + buffer.toString('utf8', start)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
