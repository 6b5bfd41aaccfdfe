// The scanner, the guard and the decoder agree with each other and with msgpackr, and bear whatever bytes there are.
import fc from 'fast-check'
import { Packr, unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { MsgpackDecoder, MsgpackExtension } from '../../src/codec/msgpack-decode.ts'
import { MsgpackGuard } from '../../src/codec/msgpack-guard.ts'
import { MsgpackScanner } from '../../src/codec/msgpack-scan.ts'
import { Columns, TAG_BIG, TAG_MISSING, TAG_NUMBER, TAG_OTHER, TAG_TEXT } from '../../src/core/columns.ts'
import {
  DEAD_FORMAT,
  DEAD_NOT_MAP,
  DEAD_TOO_DEEP,
  DEAD_TRAILING,
  DEAD_TRUNCATED,
  deadRow,
  STATUS_OK,
} from '../../src/core/record-status.ts'

const FIELDS = ['sym', 'price', 'qty', 'a field with a long name', '7']
const packr = new Packr({ useRecords: false, variableMapSize: true })
const bytesOf = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)
const textOf = (text: string): number[] => [0xa0 | text.length, ...new TextEncoder().encode(text)]

class Scan {
  readonly columns = new Columns(FIELDS, 4)
  readonly decoder = new MsgpackDecoder()
  readonly guard = new MsgpackGuard(8, 200)
  readonly scanner = new MsgpackScanner(this.columns, this.guard)

  constructor() {
    this.columns.bytes = this.decoder
  }
  /** Scans a value that lies somewhere in larger bytes; gives its status. */
  scan(value: Uint8Array, row = 0, padding = 16): number {
    const bytes = new Uint8Array(3 + value.length + padding)
    bytes.set(value, 3)
    this.scanner.begin(bytes)
    this.decoder.begin(bytes)
    this.columns.clear(4)
    return this.scanner.scan(row, 3, 3 + value.length)
  }
  fields(row = 0): Record<string, unknown> {
    return Object.fromEntries(FIELDS.map((field, i) => [field, this.columns.valueAt(i, row)]))
  }
  tag(field: number): number {
    return this.columns.tags[field * 4]!
  }
}

function walk(value: Uint8Array): number {
  const guard = new MsgpackGuard(8, 200)
  guard.nodeCount = 1
  const status = guard.walk(value, 0, value.length, 1)
  return status === STATUS_OK && guard.end !== value.length ? DEAD_TRAILING : status
}

function decode(value: Uint8Array): unknown {
  const decoder = new MsgpackDecoder()
  decoder.begin(value)
  return decoder.value(0, value.length)
}

const scalar = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.string({ maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 10 }),
  fc.boolean(),
  fc.constant(null),
  fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }),
)
/** msgpackr renames `__proto__`; ours keeps it, and has a test of its own. */
const key = fc.string().filter((text) => text !== '__proto__')
const anyValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ),
})).value
const event = fc.dictionary(fc.oneof(fc.constantFrom(...FIELDS), fc.string({ maxLength: 12 })), anyValue, {
  maxKeys: 8,
})

describe('the decoder', () => {
  test('gives what msgpackr gives', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const packed = packr.pack(value)
        expect(walk(packed)).toBe(STATUS_OK)
        expect(decode(packed)).toEqual(unpack(packed))
      }),
    )
  })

  test.each([
    ['u64 2^53', [0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0], 2 ** 53],
    ['u64 2^53 + 1', [0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1], 2n ** 53n + 1n],
    ['u64 max', [0xcf, 255, 255, 255, 255, 255, 255, 255, 255], 2n ** 64n - 1n],
    ['i64 -1', [0xd3, 255, 255, 255, 255, 255, 255, 255, 255], -1],
    ['i64 -2^53', [0xd3, 255, 0xe0, 0, 0, 0, 0, 0, 0], -(2 ** 53)],
    ['i64 -2^53 - 1', [0xd3, 255, 0xdf, 255, 255, 255, 255, 255, 255], -(2n ** 53n) - 1n],
    ['f32', [0xca, 0x3f, 0xc0, 0, 0], 1.5],
    ['i8', [0xd0, 0x80], -128],
    ['bin', [0xc4, 2, 1, 2], bytesOf(1, 2)],
    ['ext', [0xd5, 9, 1, 2], new MsgpackExtension(9, bytesOf(1, 2))],
    ['timestamp 32', [0xd6, 0xff, 0, 0, 0, 5], new Date(5_000)],
  ])('reads %s', (_name, bytes, value) => {
    expect(decode(bytesOf(...bytes))).toEqual(value)
  })

  test('`__proto__` is a field, not a prototype', () => {
    const value = decode(bytesOf(0x81, ...textOf('__proto__'), 0x81, ...textOf('evil'), 1)) as Record<string, unknown>
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(Object.keys(value)).toEqual(['__proto__'])
    expect(value.evil).toBeUndefined()
    expect(({} as Record<string, unknown>).evil).toBeUndefined()
  })
})

describe('the scanner', () => {
  test('reads the fields that decoding the record gives, whatever was predicted before', () => {
    const scan = new Scan()
    fc.assert(
      fc.property(event, (value) => {
        const packed = packr.pack(value)
        expect(scan.scan(packed)).toBe(STATUS_OK)
        const decoded = decode(packed) as Record<string, unknown>
        expect(scan.fields()).toEqual(
          Object.fromEntries(
            FIELDS.map((field) => [field, Object.hasOwn(decoded, field) ? decoded[field] : undefined]),
          ),
        )
      }),
    )
  })

  test('numbers are in `values`, everything else is NaN there', () => {
    const scan = new Scan()
    fc.assert(
      fc.property(event, (value) => {
        const packed = packr.pack(value)
        scan.scan(packed)
        const decoded = decode(packed) as Record<string, unknown>
        for (const [i, field] of FIELDS.entries()) {
          const expected = Object.hasOwn(decoded, field) ? decoded[field] : undefined
          expect(scan.columns.values[i * 4]).toBe(typeof expected === 'number' ? expected : Number.NaN)
        }
      }),
    )
  })

  test('the last of equal keys counts, as in a decoded object', () => {
    const scan = new Scan()
    const twice = bytesOf(0x83, ...textOf('qty'), 1, ...textOf('sym'), ...textOf('A'), ...textOf('qty'), 2)
    for (let i = 0; i < 2; i++) {
      expect(scan.scan(twice)).toBe(STATUS_OK)
      expect(scan.fields()).toMatchObject({ sym: 'A', qty: 2, price: undefined })
    }
    expect(decode(twice)).toEqual({ qty: 2, sym: 'A' })
  })

  test('an integer key is its decimal text', () => {
    const scan = new Scan()
    expect(scan.scan(bytesOf(0x81, 7, 5))).toBe(STATUS_OK)
    expect(scan.fields()).toMatchObject({ 7: 5 })
    expect(decode(bytesOf(0x81, 7, 5))).toEqual({ 7: 5 })
  })

  test('tags tell numbers, text, wide integers and other values apart', () => {
    const scan = new Scan()
    const big = [0xcf, 255, 255, 255, 255, 255, 255, 255, 255]
    scan.scan(bytesOf(0x83, ...textOf('sym'), ...textOf('A'), ...textOf('price'), ...big, ...textOf('qty'), 0xc0))
    expect([0, 1, 2, 3].map((field) => scan.tag(field))).toEqual([TAG_TEXT, TAG_BIG, TAG_OTHER, TAG_MISSING])
    scan.scan(bytesOf(0x81, ...textOf('qty'), 0xd0, 0xff))
    expect(scan.tag(2)).toBe(TAG_NUMBER)
    expect(scan.columns.values[2 * 4]).toBe(-1)
  })

  test('a value that ends with its buffer is read as well as one in the middle', () => {
    const scan = new Scan()
    const packed = packr.pack({ sym: 'A', price: 1.5, qty: 3 })
    for (const padding of [0, 1, 7, 8, 16]) {
      expect(scan.scan(packed, 0, padding)).toBe(STATUS_OK)
      expect(scan.fields()).toMatchObject({ sym: 'A', price: 1.5, qty: 3 })
    }
  })
})

describe('hostile bytes', () => {
  test.each([
    ['nothing', [], DEAD_TRUNCATED],
    ['a map cut in its header', [0xde, 1], DEAD_TRUNCATED],
    ['a map of 4 billion in five bytes', [0xdf, 255, 255, 255, 255], DEAD_TRUNCATED],
    ['an array of 4 billion in a field', [0x81, ...textOf('a'), 0xdd, 255, 255, 255, 255], DEAD_TRUNCATED],
    ['text of 4 GB', [0x81, ...textOf('qty'), 0xdb, 255, 255, 255, 255], DEAD_TRUNCATED],
    ['bin of 4 GB', [0x81, ...textOf('x'), 0xc6, 255, 255, 255, 255], DEAD_TRUNCATED],
    ['a double cut short', [0x81, ...textOf('qty'), 0xcb, 1, 2], DEAD_TRUNCATED],
    ['a key without a value', [0x81, ...textOf('qty')], DEAD_TRUNCATED],
    ['the byte that begins nothing', [0x81, ...textOf('x'), 0xc1], DEAD_FORMAT],
    ['the same byte in a wanted field', [0x81, ...textOf('qty'), 0xc1], DEAD_FORMAT],
    ['bytes behind the map', [0x80, 0], DEAD_TRAILING],
    ['a number', [5], DEAD_NOT_MAP],
    ['an array', [0x91, 5], DEAD_NOT_MAP],
    ['a number and more', [5, 5], DEAD_TRAILING],
    ['nine levels', [0x81, ...textOf('x'), 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0xc0], DEAD_TOO_DEEP],
    ['201 nodes', [0x81, ...textOf('x'), 0xdc, 0, 200, ...new Array(200).fill(0xc0)], DEAD_TOO_DEEP],
  ])('%s', (_name, bytes, status) => {
    expect(new Scan().scan(bytesOf(...bytes))).toBe(status)
    expect(new Scan().scan(bytesOf(...bytes), 0, 0)).toBe(status)
  })

  test('eight levels and 200 nodes are within the limits', () => {
    expect(new Scan().scan(bytesOf(0x81, ...textOf('x'), 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0xc0))).toBe(
      STATUS_OK,
    )
    expect(new Scan().scan(bytesOf(0x81, ...textOf('x'), 0xdc, 0, 198, ...new Array(198).fill(0xc0)))).toBe(STATUS_OK)
  })

  test('random bytes give a status; scanner, guard and decoder agree on what can be read', () => {
    const scan = new Scan()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const status = scan.scan(bytes)
        const walked = walk(bytes)
        if (walked === STATUS_OK) decode(bytes)
        if (status === STATUS_OK) {
          expect(walked).toBe(STATUS_OK)
          const decoded = decode(bytes) as Record<string, unknown>
          for (const [field, value] of Object.entries(scan.fields())) {
            expect(value).toEqual(Object.hasOwn(decoded, field) ? decoded[field] : undefined)
          }
        } else if (status !== DEAD_NOT_MAP) expect(deadRow(walked).code).toBe(deadRow(status).code)
      }),
      { numRuns: 3_000 },
    )
  })

  test('maps with one byte changed or cut off give a status or values, never an exception', () => {
    const scan = new Scan()
    fc.assert(
      fc.property(event, fc.nat(), fc.nat(255), fc.boolean(), (value, place, byte, isCut) => {
        const packed = Uint8Array.from(packr.pack(value))
        const at = place % packed.length
        packed[at] = byte
        const bytes = isCut ? packed.subarray(0, at) : packed
        const status = scan.scan(bytes)
        if (status === STATUS_OK) scan.fields()
        expect(status === STATUS_OK).toBe(walk(bytes) === STATUS_OK && status !== DEAD_NOT_MAP)
      }),
      { numRuns: 2_000 },
    )
  })
})
