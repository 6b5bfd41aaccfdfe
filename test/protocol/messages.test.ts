// The wire messages: what is written is read back, what is foreign is refused, positions advance or show a gap.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  advance,
  parseClientMessage,
  parseServerMessage,
  positionStep,
  snapshotJson,
  updateJson,
  wireRowJson,
} from '../../src/protocol/messages.ts'

describe('messages', () => {
  it('are read back as they were written, whatever a key or a row holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.jsonValue(), fc.nat(), (key, row, offset) => {
        const wire = { key, partition: 1, offset, timestampMs: 5 }
        const json = wireRowJson(wire, JSON.stringify(row))
        const rows = [{ ...wire, row: JSON.parse(JSON.stringify(row)) }]
        const snapshot = parseServerMessage(snapshotJson('v"', { 1: 2 }, [json], true, false))
        const position = { 1: 2 }
        expect(snapshot).toEqual({ v: 1, type: 'snapshot', view: 'v"', position, isFirst: true, isLast: false, rows })
        const update = parseServerMessage(updateJson({ 1: 2 }, { 1: 3 }, [json]))
        expect(update).toEqual({ v: 1, type: 'update', prev: { 1: 2 }, position: { 1: 3 }, rows })
      }),
    )
  })

  it('are refused when they are none of this version', () => {
    for (const text of ['', 'null', '[]', '{"v":2,"type":"ping","timeMs":1}', '{"v":1,"type":"dance"}']) {
      expect(parseServerMessage(text)).toBeUndefined()
      expect(typeof parseClientMessage(text)).toBe('string')
    }
    expect(parseServerMessage('{"v":1,"type":"update","prev":{"0":"5"},"position":{},"rows":[]}')).toBeUndefined()
    expect(parseServerMessage('{"v":1,"type":"snapshot","position":{},"rows":[1]}')).toBeUndefined()
  })

  it('continue a position by the step that the server made, and show every other one as a gap', () => {
    const position = fc.record({ 0: fc.nat(3), 1: fc.nat(3) })
    fc.assert(
      fc.property(position, position, position, (held, from, to) => {
        const step = positionStep(from, to)
        const moved = Object.keys(step.prev) as unknown as (0 | 1)[]
        const fits = moved.every((partition) => held[partition] === from[partition])
        const next = advance(held, step.prev, step.position)
        expect(next).toEqual(fits ? { ...held, ...step.position } : undefined)
      }),
    )
  })
})
