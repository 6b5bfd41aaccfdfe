// Encodes any JavaScript value as a sink's format: the free path, where functions of the job made the value.
// Runs on a lane.
// Keeps SPEC: CODEC-5 (undefined is nil, bigint in JSON is its digits as text).

import { Packr } from 'msgpackr'

/** The formats of values, as plans name them. */
export type ValueFormat = 'msgpack' | 'json'

const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true })
const textEncoder = new TextEncoder()

/**
 * The value's bytes. Throws what the encoders throw: a circular value, a bigint beyond 64 bits in msgpack.
 *
 * @example
 * encodeValue('json', { n: 1 })
 */
export function encodeValue(format: ValueFormat, value: unknown): Uint8Array {
  if (format === 'msgpack') return packr.pack(value)
  return textEncoder.encode(JSON.stringify(value, bigintAsText) ?? 'null')
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
