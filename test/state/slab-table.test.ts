// Slab tables against a naive map, with tiny memory limits. Quick.
// Keeps SPEC: STATE-2, STATE-4, STATE-8.

import { expect, test } from 'vitest'
import { FrameWriter, sinkRecords } from '../../src/core/frame.ts'
import { openStore } from '../../src/state/open-store.ts'
import { createSlabTable } from '../../src/state/slab-table.ts'

test('a row comes back with its slots, and a window closes in key order', async () => {
  const { store } = await openStore({
    folder: undefined,
    taskId: '0_0',
    planHash: 'p',
    changelogTopicId: undefined,
    changelogLow: 0,
    nowMs: () => 0,
    limits: { unflushedBytesMax: 1 << 20 },
  })
  store.restored(undefined)
  const table = createSlabTable({ operatorId: 1, width: 2, isWindowed: true, store, memoryBytesMax: 1 << 20 })
  for (const name of ['b', 'a', 'c']) {
    const key = Buffer.from(name)
    const row = table.rowFor(table.internKey(key, 0, 1), 1000)
    expect(table.wasCreated).toBe(true)
    table.slots[row * 2] = key[0]!
    table.touch(row)
  }
  const writer = new FrameWriter()
  table.seal(1, writer, 0, 0)
  expect(sinkRecords(writer.take()!).length).toBe(3)
  const seen: number[] = []
  table.closeWindow(1000, (row) => seen.push(table.slots[row * 2]!))
  expect(seen).toEqual([97, 98, 99])
  table.seal(2, writer, 0, 0)
  expect(sinkRecords(writer.take()!).map((r) => r.value)).toEqual([undefined, undefined, undefined])
  expect([table.rowCount, table.keyCount, table.windowEndMin]).toEqual([0, 0, Number.POSITIVE_INFINITY])
})
