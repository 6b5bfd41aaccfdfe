// Values of a job's functions to bytes and back: what they keep as state. Runs on a lane; pure.
// Keeps SPEC: STATE-9 (what is written and read back is the same: dates, sets, maps, big integers and bytes too).

import { addExtension, Packr } from 'msgpackr'

/** A value stands for itself: no shared structures. Bytes in it are its own. */
const packr = new Packr({ useRecords: false, moreTypes: true, copyBuffers: true } as ConstructorParameters<
  typeof Packr
>[0])

/** msgpackr writes a Map as the object that a record is: in its place are its keys and values, one after the other. */
class MapEntries {
  readonly entries: unknown[]
  constructor(entries: unknown[]) {
    this.entries = entries
  }
}
const MAP_TYPE = 0x4d
addExtension({
  Class: MapEntries,
  type: MAP_TYPE,
  write: ({ entries }: MapEntries) => entries,
  read: (entries: unknown[]) => {
    const map = new Map<unknown, unknown>()
    for (let i = 0; i < entries.length; i += 2) map.set(entries[i], entries[i + 1])
    return map
  },
})

/** The bytes of a value. Throws what msgpackr throws. */
export function packValue(value: unknown): Uint8Array {
  return packr.pack(packable(value))
}

/** The value of bytes, which shares nothing with them. */
export function unpackValue(bytes: Uint8Array): unknown {
  return packr.unpack(bytes)
}

/** The value with something else for each Map in it: itself when there is none. */
function packable(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return packableAll(value)
  if (value instanceof Map) return new MapEntries(packableAll([...value].flat(1)))
  if (value instanceof Set) {
    const all = [...value]
    const changed = packableAll(all)
    return changed === all ? value : new Set(changed)
  }
  return value.constructor === Object || value.constructor === undefined ? packableFields(value) : value
}

function packableAll(all: unknown[]): unknown[] {
  let changed = all
  for (const [i, one] of all.entries()) {
    const other = packable(one)
    if (other === one) continue
    if (changed === all) changed = [...all]
    changed[i] = other
  }
  return changed
}

function packableFields(object: object): object {
  let changed: Record<string, unknown> | undefined
  for (const [name, one] of Object.entries(object)) {
    const other = packable(one)
    if (other === one) continue
    changed ??= { ...object }
    changed[name] = other
  }
  return changed ?? object
}
