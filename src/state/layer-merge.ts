// Merges layers and a backend into one sorted sequence of live rows. Runs on a lane; pure but for the backend's reads.
// Keeps SPEC: STATE-2 (reads merge all layers: the newest layer that knows a key decides, tombstones hide older rows).

import type { Backend } from './contract.ts'
import { compareKeys } from './keys.ts'
import type { RowLayer } from './row-layer.ts'

/** A layer's rows of the range, and how far the merge has come in them. */
interface LayerCursor {
  layer: RowLayer
  entries: Int32Array
  at: number
}

/**
 * Rows with from <= key < to in key order, deleted ones left out. `layers` newest first. The layers must not change while
 * the sequence is read; a row's bytes are valid until the next row is asked for.
 */
export function* mergeLayers(
  layers: readonly RowLayer[],
  backend: Backend,
  from: Uint8Array,
  to: Uint8Array,
): Generator<[key: Uint8Array, value: Uint8Array]> {
  const cursors = layers
    .map((layer): LayerCursor => ({ layer, entries: layer.entriesIn(from, to), at: 0 }))
    .filter((cursor) => cursor.entries.length > 0)
  for (const row of backend.range(from, to)) {
    yield* layeredRowsBefore(cursors, row[0])
    const taken = takeKey(cursors, row[0])
    if (taken === 'unknown') yield row
    else if (taken !== 'deleted') yield [row[0], taken]
  }
  yield* layeredRowsBefore(cursors, undefined)
}

/** Live rows of the layers before `bound` (undefined: all the rest). */
function* layeredRowsBefore(
  cursors: readonly LayerCursor[],
  bound: Uint8Array | undefined,
): Generator<[key: Uint8Array, value: Uint8Array]> {
  for (;;) {
    const key = smallestKey(cursors)
    if (key === undefined || (bound !== undefined && compareKeys(key, bound) >= 0)) return
    const taken = takeKey(cursors, key)
    if (taken !== 'unknown' && taken !== 'deleted') yield [key, taken]
  }
}

function smallestKey(cursors: readonly LayerCursor[]): Uint8Array | undefined {
  let smallest: Uint8Array | undefined
  for (const cursor of cursors) {
    if (cursor.at >= cursor.entries.length) continue
    const key = cursor.layer.key(cursor.entries[cursor.at]!)
    if (smallest === undefined || compareKeys(key, smallest) < 0) smallest = key
  }
  return smallest
}

/** Moves every cursor that stands at `key` on. The value is that of the newest layer that knows the key. */
function takeKey(cursors: readonly LayerCursor[], key: Uint8Array): Uint8Array | 'deleted' | 'unknown' {
  let taken: Uint8Array | 'deleted' | 'unknown' = 'unknown'
  for (const cursor of cursors) {
    if (cursor.at >= cursor.entries.length) continue
    const entry = cursor.entries[cursor.at]!
    if (compareKeys(cursor.layer.key(entry), key) !== 0) continue
    if (taken === 'unknown') taken = cursor.layer.value(entry) ?? 'deleted'
    cursor.at++
  }
  return taken
}
