// Epoch markers of the changelog: the position of a task as the value of one fixed key.
// Runs on a lane.
// Keeps SPEC: LANE-4 (a restart begins where the last marker says).

import { pack, unpack } from 'msgpackr'
import type { TaskPosition } from '../core/message.ts'
import { positionOf } from '../state/meta.ts'

/** The bytes of a marker's value (msgpack, since the watermark may be infinite). */
export function encodeMarker(position: TaskPosition): Uint8Array {
  return pack(position)
}

/** The position of a marker's value, or undefined when the bytes are none. */
export function decodeMarker(bytes: Uint8Array): TaskPosition | undefined {
  try {
    return positionOf(unpack(bytes))
  } catch {
    // Bytes that are no msgpack are no marker; the caller says which changelog is damaged.
    return undefined
  }
}
