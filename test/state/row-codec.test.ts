// Cells of rows to bytes and back: what aggregates keep in them, and in memory of their own.
// Holds SPEC: STATE-9.
import { expect, test } from 'vitest'
import { packCells, unpackCells } from '../../src/state/row-codec.ts'

test('cells are read back as they were: sets, bytes, nulls and large integers', () => {
  const cells = [new Set([1, '1', true]), null, [0, 2 ** 40, -0.5], 2n ** 70n, { deep: ['er'] }]
  expect(unpackCells(packCells(cells)!, 0)).toEqual(cells)
  expect([...(unpackCells(packCells([new Uint8Array([1, 2])])!, 0)![0] as Uint8Array)]).toEqual([1, 2])
})

test('maps are read back as maps, wherever they are, and what was written is left as it was', () => {
  const map = new Map<unknown, unknown>([
    [1, { deep: new Map([['a', new Set([new Map()])]]) }],
    ['1', [new Date(5), new Map([[2n ** 70n, Uint8Array.of(1)]])]],
  ])
  const cells = [map, { map, plain: { n: 1 } }]
  const before = structuredClone(cells)
  expect(unpackCells(packCells(cells)!, 0)).toEqual(before)
  expect(cells).toEqual(before)
})

test('one cell of bytes is written as a list of any cells would be read', () => {
  for (const length of [0, 1, 254, 255, 65_535, 70_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => i % 251)
    const [read] = unpackCells(packCells([bytes])!, 0) as [Uint8Array]
    expect(read.constructor).toBe(Uint8Array)
    expect(Buffer.compare(read, bytes)).toBe(0)
  }
})

test('bytes in cells are not those that they were read from, also where these are a Buffer', () => {
  const stored = Buffer.concat([Buffer.alloc(8), packCells([Buffer.from([7, 8])])!])
  const before = [...stored]
  const [bytes] = unpackCells(stored, 8) as [Uint8Array]
  bytes.fill(9)
  expect([...stored]).toEqual(before)
})

test.each([0, 3, 300, 70_000])('%i bytes that are the only cell are read back as a copy', (length) => {
  const bytes = Uint8Array.from({ length }, (_, i) => i)
  const stored = packCells([bytes])!.slice()
  packCells([Uint8Array.of(1, 2)])
  const cells = unpackCells(stored, 0)
  expect(cells).toEqual([bytes])
  expect((cells![0] as Uint8Array).buffer).not.toBe(stored.buffer)
})
