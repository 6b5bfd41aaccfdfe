// The cases that every backend passes, in memory and on disk. Quick.
// Keeps SPEC: STATE-1 (a write is all or nothing), STATE-2 (rows come in byte order).

import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { Backend } from '../../src/state/contract.ts'
import { compareKeys } from '../../src/state/keys.ts'

export type Row = [key: Uint8Array, value: Uint8Array | undefined]

export const text = (name: string): Uint8Array => new Uint8Array(Buffer.from(name))
const META = text('meta')

function hexRows(rows: Iterable<Row>): string[] {
  return [...rows].map(([key, value]) => `${hex(key)}=${value === undefined ? '' : hex(value)}`)
}
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}

/** Keys below the reserved prefix 0xffff, of few distinct bytes so that they often meet. */
const anyKey = fc
  .array(fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff), { minLength: 1, maxLength: 4 })
  .map((bytes) => Uint8Array.from([1, ...bytes]))
/** Values as length and byte, so that a counterexample stays short; some do not fit a page. */
const anyValue = fc.option(
  fc
    .tuple(fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 9000 })), fc.nat({ max: 255 }))
    .map(([length, byte]) => new Uint8Array(length).fill(byte)),
  { nil: undefined },
)
const anyWrite = fc.uniqueArray(fc.tuple(anyKey, anyValue), { maxLength: 30, selector: ([key]) => hex(key) })

/** Runs the cases on backends that `open` makes, each of them empty. */
export function backendCases(name: string, open: () => Promise<Backend>): void {
  describe(`a backend ${name}`, () => {
    let backend: Backend
    const opened = async (): Promise<Backend> => {
      backend = await open()
      return backend
    }
    afterEach(() => backend.close())

    test('is empty at first', async () => {
      await opened()
      expect(backend.meta()).toBeUndefined()
      expect(backend.get(text('a'))).toBeUndefined()
      expect(backend.firstKeyAtOrAfter(text(''.padEnd(1, '\0')))).toBeUndefined()
      expect([...backend.range(text('a'), text('z'))]).toEqual([])
    })

    test('gives back rows and meta of the last write', async () => {
      await opened()
      await backend.write(
        [
          [text('b'), text('1')],
          [text('a'), new Uint8Array(0)],
        ],
        META,
      )
      expect(hex(backend.get(text('b'))!)).toBe(hex(text('1')))
      expect(backend.get(text('a'))).toHaveLength(0)
      expect(hex(backend.meta()!)).toBe(hex(META))
      await backend.write([[text('b'), undefined]], text('meta 2'))
      expect(backend.get(text('b'))).toBeUndefined()
      expect(backend.get(text('a'))).toHaveLength(0)
      expect(hex(backend.meta()!)).toBe(hex(text('meta 2')))
    })

    test('keeps what it was given though the caller uses its buffers again', async () => {
      await opened()
      const key = text('key')
      const value = text('value')
      const meta = text('meta')
      await backend.write([[key, value]], meta)
      key.fill(0)
      value.fill(0)
      meta.fill(0)
      expect(hex(backend.get(text('key'))!)).toBe(hex(text('value')))
      expect(hex(backend.meta()!)).toBe(hex(META))
    })

    test('deletes a key that it does not have', async () => {
      await opened()
      await backend.write([[text('x'), undefined]], META)
      expect(backend.get(text('x'))).toBeUndefined()
    })

    test('keeps nothing of a write whose rows throw midway', async () => {
      await opened()
      await backend.write([[text('a'), text('1')]], META)
      const rows = function* (): Generator<Row> {
        yield [text('a'), text('2')]
        yield [text('b'), text('2')]
        throw new Error('no more rows')
      }
      await expect(backend.write(rows(), text('meta 2'))).rejects.toThrow('no more rows')
      expect(hexRows(backend.range(text('a'), text('z')))).toEqual([`${hex(text('a'))}=${hex(text('1'))}`])
      expect(hex(backend.meta()!)).toBe(hex(META))
    })

    test('wipes rows and meta and can be written again', async () => {
      await opened()
      await backend.write([[text('a'), text('1')]], META)
      await backend.wipe()
      expect(backend.meta()).toBeUndefined()
      expect(backend.firstKeyAtOrAfter(Uint8Array.of(0))).toBeUndefined()
      await backend.write([[text('c'), text('3')]], META)
      expect(hexRows(backend.range(text('a'), text('z')))).toEqual([`${hex(text('c'))}=${hex(text('3'))}`])
    })

    test('takes a write of many rows as one', async () => {
      await opened()
      const rows: Row[] = []
      for (let i = 0; i < 20_000; i++) rows.push([text(`k${i}`), text(`v${i}`)])
      await backend.write(rows, META)
      let count = 0
      for (const [key, value] of backend.range(text('k'), text('l'))) {
        if (Buffer.from(key).toString().slice(1) === Buffer.from(value).toString().slice(1)) count++
      }
      expect(count).toBe(20_000)
    })

    test('holds rows open while a range is read and others are got', async () => {
      await opened()
      await backend.write(
        [
          [text('a'), text('1')],
          [text('b'), text('2')],
          [text('c'), text('3')],
        ],
        META,
      )
      const seen: string[] = []
      for (const [key, value] of backend.range(text('a'), text('z'))) {
        expect(hex(backend.get(text('c'))!)).toBe(hex(text('3')))
        expect(hex(backend.firstKeyAtOrAfter(text('b'))!)).toBe(hex(text('b')))
        seen.push(Buffer.from(key).toString() + Buffer.from(value).toString())
        if (seen.length === 2) break
      }
      expect(seen).toEqual(['a1', 'b2'])
    })

    test('equals a sorted list after any writes', async () => {
      await opened()
      await fc.assert(
        fc.asyncProperty(fc.array(anyWrite, { maxLength: 6 }), anyKey, anyKey, async (writes, one, other) => {
          await backend.wipe()
          const model = new Map<string, Row>()
          for (const rows of writes) {
            await backend.write(rows, META)
            for (const row of rows) {
              if (row[1] === undefined) model.delete(hex(row[0]))
              else model.set(hex(row[0]), row)
            }
          }
          const [from, to] = compareKeys(one, other) <= 0 ? [one, other] : [other, one]
          const sorted = [...model.values()].sort((a, b) => compareKeys(a[0], b[0]))
          const inRange = sorted.filter(([key]) => compareKeys(key, from) >= 0 && compareKeys(key, to) < 0)
          expect(hexRows(backend.range(from, to))).toEqual(hexRows(inRange))
          const first = sorted.find(([key]) => compareKeys(key, from) >= 0)?.[0]
          expect(backend.firstKeyAtOrAfter(from)?.length).toEqual(first?.length)
          if (first !== undefined) expect(hex(backend.firstKeyAtOrAfter(from)!)).toBe(hex(first))
          for (const [key, value] of sorted) expect(hex(backend.get(key)!)).toBe(hex(value!))
        }),
        { numRuns: 40 },
      )
    })
  })
}
