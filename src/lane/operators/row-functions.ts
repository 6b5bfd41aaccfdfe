// What functions of a job do to rows on their way to a sink: filter and map them, give their keys and headers.
// Runs on a lane.
// Keeps SPEC: ERR-3 (what such a function gives is checked).

import type { JobFunction } from '../job-function.ts'
import { callOnObject } from './filter.ts'
import { type HeaderBytes, headerName } from './header-bytes.ts'

const textEncoder = new TextEncoder()

/** A filter or map between the aggregate and a sink. */
export interface RowFunction {
  kind: 'filter' | 'map'
  fields: readonly string[] | undefined
  fn: JobFunction
}

/** What `applyFunctions` gives for a row that a filter drops. */
export const DROPPED = Symbol('dropped by a filter')

/**
 * The row as the functions leave it, or `DROPPED`. Throws what they throw. `keepsAll`: filters are passed over, as what is taken
 * back may be no more what was sent.
 */
export function applyFunctions(functions: readonly RowFunction[], row: unknown, keepsAll: boolean): unknown {
  let value = row
  for (const { kind, fields, fn } of functions) {
    const result = fields === undefined ? fn(value) : callOnObject(fn, fields, value)
    if (kind === 'map') value = result
    else if (!result && !keepsAll) return DROPPED
  }
  return value
}

/** The bytes of a key that a function of the job gave. Throws TypeError when it is neither text nor bytes. */
export function keyBytesOf(key: unknown): Uint8Array | undefined {
  if (key === undefined || key === null) return undefined
  if (typeof key === 'string') return textEncoder.encode(key)
  if (key instanceof Uint8Array) return key
  throw new TypeError(`a key function must give text or bytes, not ${typeof key}`)
}

/** Adds what a headers function gave. Throws TypeError when it is no object of texts and bytes. */
export function addJobHeaders(headers: HeaderBytes, given: unknown): void {
  if (given === undefined || given === null) return
  if (typeof given !== 'object') throw new TypeError('a headers function must give an object')
  for (const [name, value] of Object.entries(given)) {
    if (value instanceof Uint8Array) headers.addBytes(headerName(name), value)
    else if (typeof value === 'string') headers.addText(headerName(name), value)
    else throw new TypeError(`header ${name} must be text or bytes, not ${typeof value}`)
  }
}
