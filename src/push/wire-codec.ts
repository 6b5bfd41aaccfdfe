// The two encodings of the wire, of rows that are encoded once for all who get them. Main thread.
// Keeps SPEC: PUSH-14 (JSON and msgpack say the same), PUSH-24 (a row of a closed window says so).
import { Packr } from 'msgpackr'
import { JSON_PROTOCOL, MSGPACK_PROTOCOL, parsedJson, type ServerMessage } from '../protocol/messages.ts'
import type { Lens } from './selection.ts'
import type { ViewRow } from './view-store.ts'

export type Encoded = string | Uint8Array

export interface WireCodec {
  protocol: string
  /** Its messages are bytes of their own, not of text. */
  isBinary: boolean
  /** A row as it travels. */
  row(row: ViewRow, lens: Lens): Encoded
  /** That the key of a row is not selected any more. */
  removal(row: ViewRow): Encoded
  snapshot(id: number, position: string, isFirst: boolean, isLast: boolean, rows: readonly Encoded[]): Encoded
  update(id: number, prev: string, position: string, rows: readonly Encoded[]): Encoded
  message(message: ServerMessage): Encoded
  /** What a client sent; undefined where it is not of this encoding. */
  read(bytes: ArrayBuffer): unknown
}

const textDecoder = new TextDecoder()

export const jsonCodec: WireCodec = {
  protocol: JSON_PROTOCOL,
  isBinary: false,
  row: (row, lens) => rowJson(row, lens.rowJson(row)),
  removal: (row) => rowJson(row, 'null'),
  snapshot: (id, position, isFirst, isLast, rows) =>
    `{"type":"snapshot","id":${id},"position":"${position}","isFirst":${isFirst},"isLast":${isLast},"rows":[${rows.join(',')}]}`,
  update: (id, prev, position, rows) =>
    `{"type":"update","id":${id},"prev":"${prev}","position":"${position}","rows":[${rows.join(',')}]}`,
  message: (message) => JSON.stringify(message),
  read: (bytes) => parsedJson(textDecoder.decode(bytes)),
}

/** A message as bytes, for many to send: each would make them of a text anew. */
export function bytesOf(message: Encoded): Uint8Array {
  return typeof message === 'string' ? Buffer.from(message) : message
}

/** A WireRow whose row is JSON already. Of one that is not there, or not selected, nothing is final. */
export function rowJson(
  { key, partition, offset, timestampMs, isFinal, place, provisional }: ViewRow,
  json: string,
): string {
  const time = place === undefined ? '' : `"timeMs":${place.timeMs},`
  const final = isFinal && json !== 'null' ? ',"isFinal":true' : ''
  const mark =
    provisional === undefined ? '' : `,"isProvisional":true,"attempt":${provisional.attempt},"rev":${provisional.rev}`
  const name = JSON.stringify(place?.key ?? key)
  return `{"key":${name},"partition":${partition},"offset":${offset},"timestampMs":${timestampMs},${time}"row":${json}${final}${mark}}`
}

const packr = new Packr({ useRecords: false, variableMapSize: true })
const FIX_MAP = 0x80
const ARRAY_32 = 0xdd
const ROWS_NAME = Buffer.from([0xa4, ...Buffer.from('rows')])

export const msgpackCodec: WireCodec = {
  protocol: MSGPACK_PROTOCOL,
  isBinary: true,
  row: (row, lens) => packedRow(row, JSON.parse(lens.rowJson(row))),
  removal: (row) => packedRow(row, null),
  snapshot: (id, position, isFirst, isLast, rows) =>
    withRows({ type: 'snapshot', id, position, isFirst, isLast }, rows as readonly Uint8Array[]),
  update: (id, prev, position, rows) => withRows({ type: 'update', id, prev, position }, rows as readonly Uint8Array[]),
  message: (message) => packr.pack(message),
  read: (bytes) => {
    try {
      return packr.unpack(new Uint8Array(bytes))
    } catch {
      return undefined // the client is told
    }
  },
}

function packedRow(
  { key, partition, offset, timestampMs, isFinal, place, provisional }: ViewRow,
  row: unknown,
): Uint8Array {
  const final = isFinal && row !== null ? { isFinal } : {}
  const mark = provisional === undefined ? {} : { isProvisional: true, ...provisional }
  if (place === undefined) return packr.pack({ key, partition, offset, timestampMs, row, ...final, ...mark })
  return packr.pack({ key: place.key, partition, offset, timestampMs, timeMs: place.timeMs, row, ...final, ...mark })
}

/** A map of one field more, an array of what is packed already. */
function withRows(head: Record<string, unknown>, rows: readonly Uint8Array[]): Uint8Array {
  const packed = packr.pack(head)
  packed[0] = FIX_MAP + Object.keys(head).length + 1
  const start = Buffer.alloc(5)
  start[0] = ARRAY_32
  start.writeUInt32BE(rows.length, 1)
  return Buffer.concat([packed, ROWS_NAME, start, ...rows])
}
