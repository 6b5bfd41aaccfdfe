// JSON with guards: what JSON.parse gives, or a status.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JsonDecoder } from '../../src/codec/json.ts'
import { DEAD_JSON, DEAD_TOO_DEEP, DEAD_UTF8, STATUS_OK } from '../../src/core/record-status.ts'

const encoder = new TextEncoder()

function decode(text: string | Uint8Array, depthMax = 4, nodesMax = 6): [status: number, value: unknown] {
  const decoder = new JsonDecoder(depthMax, nodesMax)
  const bytes = typeof text === 'string' ? encoder.encode(`xx${text}yy`) : Uint8Array.from([0, 0, ...text, 0, 0])
  const status = decoder.decode(bytes, 2, bytes.length - 2)
  return [status, status === STATUS_OK ? decoder.value : undefined]
}

/** Values of a JSON value, keys not counted. */
function nodeCount(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  return Object.values(value).reduce<number>((sum, item) => sum + nodeCount(item), 1)
}

describe('JSON', () => {
  test('is what JSON.parse gives', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(decode(text, 100, 100_000)).toEqual([STATUS_OK, JSON.parse(text)])
      }),
    )
  })

  test('has as many nodes as it has values, exactly', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(2), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent)
        const count = nodeCount(value)
        expect(decode(text, 100, count)[0]).toBe(STATUS_OK)
        if (count > 1) expect(decode(text, 100, count - 1)[0]).toBe(DEAD_TOO_DEEP)
      }),
    )
  })

  test.each([
    ['four levels', '[[[[1]]]]', STATUS_OK],
    ['five levels', '[[[[[1]]]]]', DEAD_TOO_DEEP],
    ['brackets and commas in text', '"[[[[[[,,,,,,,,\\"[[["', STATUS_OK],
    ['a text that never ends', '"\\', DEAD_JSON],
    ['nothing', '', DEAD_JSON],
    ['a comma too many', '[1,]', DEAD_JSON],
    ['half a literal', 'tru', DEAD_JSON],
  ])('%s', (_name, text, status) => {
    expect(decode(text)[0]).toBe(status)
  })

  test('bytes that are not UTF-8 are refused', () => {
    expect(decode(Uint8Array.of(0x22, 0xff, 0x22))[0]).toBe(DEAD_UTF8)
    expect(decode(Uint8Array.of(0x22, 0xc3, 0x22))[0]).toBe(DEAD_UTF8)
  })

  test('`__proto__` is a field, not a prototype', () => {
    const [, value] = decode('{"__proto__":{"evil":1}}')
    expect(Object.keys(value as object)).toEqual(['__proto__'])
    expect((value as Record<string, unknown>).evil).toBeUndefined()
  })

  test('random bytes give a status, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(decode(bytes)[0]).toBeTypeOf('number')
      }),
    )
  })

  test('a million open brackets are refused, not parsed', () => {
    expect(decode('['.repeat(1_000_000), 32, 100_000)[0]).toBe(DEAD_TOO_DEEP)
  })
})
