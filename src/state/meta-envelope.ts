// What surrounds the meta record in LMDB: its own CRC and the running hash. Runs on a lane; pure.
// Keeps SPEC: STATE-6 (damage is never read as state).

import { crc32c } from './crc32c.ts'
import { RowHash } from './row-hash.ts'

/*
 *   0 u32 CRC32C of the rest (LE) | 4 four zeros | 8 hash (16 bytes) | 24 meta record
 */
const ENVELOPE_BYTES = 24

/** The meta record with the hash over the rows that belong to it. */
export interface Envelope {
  hash: RowHash
  meta: Uint8Array
}

export function writeEnvelope(envelope: Envelope): Uint8Array {
  const bytes = new Uint8Array(ENVELOPE_BYTES + envelope.meta.length)
  const view = new DataView(bytes.buffer)
  envelope.hash.write(view, 8)
  bytes.set(envelope.meta, ENVELOPE_BYTES)
  view.setUint32(0, crc32c(bytes, 4, bytes.length), true)
  return bytes
}

/** The envelope of the bytes, undefined when they are damaged. */
export function readEnvelope(bytes: Uint8Array): Envelope | undefined {
  if (bytes.length < ENVELOPE_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== crc32c(bytes, 4, bytes.length)) return undefined
  return { hash: RowHash.read(view, 8), meta: bytes.slice(ENVELOPE_BYTES) }
}
