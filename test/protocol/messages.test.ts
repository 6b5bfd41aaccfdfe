// The wire messages: both encodings say the same, what is foreign is refused. Holds SPEC: PUSH-14.
import fc from 'fast-check'
import { pack } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { MsgpackDecoder } from '../../src/codec/msgpack-decode.ts'
import { readClientMessage, readServerMessage } from '../../src/protocol/messages.ts'
import { lensOf } from '../../src/push/selection.ts'
import type { ViewRow } from '../../src/push/view-store.ts'
import { jsonCodec, msgpackCodec } from '../../src/push/wire-codec.ts'

const LIMITS = { keysMax: 3, fieldsMax: 2, historyMax: 100, conditionsMax: 3 }

function viewRow(key: string, row: unknown, offset = 0): ViewRow {
  const times = { partition: 1, offset, timestampMs: 5, sequence: 1, revision: 1 }
  return {
    key,
    ...times,
    json: JSON.stringify(row),
    isRemoval: false,
    isFinal: false,
    isCurrent: true,
    place: undefined,
  }
}

const decoder = new MsgpackDecoder()

function decoded(message: string | Uint8Array): unknown {
  if (typeof message === 'string') return readServerMessage(JSON.parse(message))
  // msgpackr, with which the server reads what clients say, makes `__proto_` of a field `__proto__`.
  decoder.begin(message)
  return readServerMessage(decoder.value(0, message.length))
}

describe.each([jsonCodec, msgpackCodec])('messages of $protocol', (codec) => {
  it('are read back as they were written, whatever a key or a row holds', () => {
    const lens = lensOf({})
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.jsonValue(), fc.nat(), (key, row, offset) => {
        const one = viewRow(key, row, offset)
        const encoded = [codec.row(one, lens), codec.removal(one)]
        const place = { key, partition: 1, offset, timestampMs: 5 }
        const rows = [
          { ...place, row: JSON.parse(JSON.stringify(row)) },
          { ...place, row: null },
        ]
        const parts = { position: 'p', isFirst: true, isLast: false }
        expect(decoded(codec.snapshot(1, 'p', true, false, encoded))).toEqual({
          type: 'snapshot',
          id: 1,
          ...parts,
          rows,
        })
        const step = { prev: 'p', position: 'q' }
        expect(decoded(codec.update(7, 'p', 'q', encoded))).toEqual({ type: 'update', id: 7, ...step, rows })
      }),
    )
  })

  it('are told as they are', () => {
    const message = { type: 'error', id: 3, code: 'MR7001', message: 'no', canRetry: false } as const
    expect(decoded(codec.message(message))).toEqual(message)
  })

  it('that are none are no object', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const message = readClientMessage(codec.read(Uint8Array.from(bytes).buffer), LIMITS)
        return typeof message === 'string' || message.type === 'ping'
      }),
    )
  })
})

describe('messages of a client', () => {
  const ask = (more: object): unknown => readClientMessage({ type: 'subscribe', id: 1, view: 'v', ...more }, LIMITS)

  it('are taken with what they select', () => {
    for (const more of [
      {},
      { key: 'a' },
      { keys: ['a', 'b'], fields: ['x'] },
      { prefix: '', where: { x: 1, y: { gt: 1, lte: 'z' } }, resume: 'p', minGapMs: 100 },
      { where: { x: { in: [1, null] } } },
      { key: 'a', history: 100 },
    ]) {
      expect(ask(more)).toEqual({ type: 'subscribe', id: 1, view: 'v', ...more })
    }
    expect(readClientMessage({ type: 'unsubscribe', id: 0 }, LIMITS)).toEqual({ type: 'unsubscribe', id: 0 })
    expect(readClientMessage({ type: 'ping', more: 1 }, LIMITS)).toEqual({ type: 'ping' })
  })

  it.each([
    { id: -1 },
    { id: '1' },
    { view: 5 },
    { key: 5 },
    { key: 'a', prefix: 'b' },
    { keys: [] },
    { keys: ['a', 1] },
    { keys: ['a', 'b', 'c', 'd'] },
    { fields: ['a', 'b', 'c'] },
    { where: [] },
    { where: { x: { gt: true } } },
    { where: { x: { like: 'a' } } },
    { where: { x: { in: 1 } } },
    { where: { x: { in: [1, 2, 3] } } },
    { where: { a: 1, b: 1, c: 1, d: 1 } },
    { resume: 1 },
    { minGapMs: 0.5 },
    { key: 'a', history: 0 },
    { key: 'a', history: 101 },
    { key: 'a', history: true },
    { prefix: 'a', history: 5 },
    { history: 5 },
    { type: 'dance' },
  ])('are refused with a reason: %j', (more) => {
    expect(typeof ask(more)).toBe('string')
  })

  it('of another kind are refused', () => {
    for (const message of [undefined, null, [], 5, 'ping', {}])
      expect(typeof readClientMessage(message, LIMITS)).toBe('string')
    expect(pack({ type: 'ping' })).toBeInstanceOf(Uint8Array)
  })
})

it('messages of a server that are none of this version are refused', () => {
  for (const message of [
    null,
    [],
    { type: 'dance' },
    { type: 'ping' },
    { type: 'update', id: 1, prev: 5, position: 'p', rows: [] },
    { type: 'snapshot', id: 1, position: 'p', rows: [1] },
    { type: 'reset', id: 1 },
  ]) {
    expect(readServerMessage(message)).toBeUndefined()
  }
})
