// Micro benches of state: interning keys, finding rows, sealing and flushing them, the CRC. Answers are checked.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noCounts } from '../../src/core/counts.ts'
import { FrameWriter, sinkRecords } from '../../src/core/frame.ts'
import type { TaskPosition } from '../../src/core/message.ts'
import type { SlabTable, TaskStore } from '../../src/state/contract.ts'
import { crc32c } from '../../src/state/crc32c.ts'
import { openStore } from '../../src/state/open-store.ts'
import { createSlabTable } from '../../src/state/slab-table.ts'
import type { MicroCase } from './micro-case.ts'

const WIDTH = 8
const KEY_COUNT = 10_000
const WINDOW_END_MS = 1_800_000_000_000
const MEMORY_BYTES = 256 << 20

/** Keys of 4 to 8 bytes back to back, in an order that no cache line follows. */
interface KeyBytes {
  bytes: Uint8Array
  starts: Int32Array
  lengths: Int32Array
}

function keyBytesOf(keyCount: number): KeyBytes {
  const names = Array.from({ length: keyCount }, (_, i) => `S${((i * 7919) % keyCount) * 13}`.padEnd(4, '_'))
  const starts = new Int32Array(keyCount)
  const lengths = new Int32Array(keyCount)
  let at = 0
  names.forEach((name, i) => {
    starts[i] = at
    lengths[i] = name.length
    at += name.length
  })
  return { bytes: new Uint8Array(Buffer.from(names.join(''))), starts, lengths }
}

/** All cases: a key, a row, an epoch of 10,000 rows in memory and on disk. */
export async function stateCases(rowCount = KEY_COUNT): Promise<MicroCase[]> {
  const keys = keyBytesOf(rowCount)
  return [
    mapCase(keys, rowCount),
    await internCase(keys, rowCount),
    await rowCase(keys, rowCount),
    await olderRowCase(keys, rowCount),
    await sealCase(keys, rowCount),
    await closeCase(keys, rowCount),
    await flushCase(keys, rowCount),
    crcCase(rowCount),
  ]
}

/** The baseline: what interning would cost with a JavaScript Map of strings. */
function mapCase({ bytes, starts, lengths }: KeyBytes, rowCount: number): MicroCase {
  const ids = new Map<string, number>()
  const decoder = new TextDecoder('latin1')
  let sum = 0
  return {
    name: 'state: Map of strings',
    recordsPerRun: rowCount,
    run() {
      sum = 0
      for (let i = 0; i < rowCount; i++) {
        const key = decoder.decode(bytes.subarray(starts[i]!, starts[i]! + lengths[i]!))
        let id = ids.get(key)
        if (id === undefined) {
          id = ids.size
          ids.set(key, id)
        }
        sum += id
      }
    },
    check: () => assert.equal(sum, (rowCount * (rowCount - 1)) / 2),
  }
}

async function internCase({ bytes, starts, lengths }: KeyBytes, rowCount: number): Promise<MicroCase> {
  const { table } = await openTable()
  let sum = 0
  return {
    name: 'state: intern a key of 4 to 8 bytes',
    recordsPerRun: rowCount,
    baseline: 'state: Map of strings',
    run() {
      sum = 0
      for (let i = 0; i < rowCount; i++) sum += table.internKey(bytes, starts[i]!, lengths[i]!)
    },
    check: () => {
      assert.equal(sum, (rowCount * (rowCount - 1)) / 2)
      assert.equal(table.keyCount, rowCount)
    },
  }
}

/** The hot path of a record: its row in the newest window, one slot, the mark. */
async function rowCase(keys: KeyBytes, rowCount: number): Promise<MicroCase> {
  const { table } = await openTable()
  const ids = idsOf(table, keys, rowCount)
  let runs = 0
  return {
    name: 'state: row of the newest window, add, touch',
    recordsPerRun: rowCount,
    run() {
      runs++
      addToAll(table, ids, WINDOW_END_MS)
    },
    check: () => assert.equal(sumOfSlots(table), runs * rowCount),
  }
}

/** As above in the window before the newest: through the index. */
async function olderRowCase(keys: KeyBytes, rowCount: number): Promise<MicroCase> {
  const { table } = await openTable()
  const ids = idsOf(table, keys, rowCount)
  let runs = 0
  addToAll(table, ids, WINDOW_END_MS)
  return {
    name: 'state: row of an older window, add, touch',
    recordsPerRun: rowCount,
    run() {
      runs++
      addToAll(table, ids, WINDOW_END_MS - 1000)
    },
    check: () => assert.equal(sumOfSlots(table), (runs + 1) * rowCount),
  }
}

async function sealCase(keys: KeyBytes, rowCount: number): Promise<MicroCase> {
  const { store, table } = await openTable()
  const ids = idsOf(table, keys, rowCount)
  const writer = new FrameWriter(1 << 21)
  let epoch = 0
  let frame: ArrayBuffer | undefined
  return {
    name: `state: change and seal ${rowCount} rows`,
    recordsPerRun: rowCount,
    run() {
      epoch++
      addToAll(table, ids, WINDOW_END_MS)
      frame = sealEpoch(store, table, writer, epoch)
    },
    check: () => assert.equal(sinkRecords(frame!).length, rowCount),
  }
}

/** Makes the rows of a window, closes it in key order, and seals what is left: nothing. */
async function closeCase(keys: KeyBytes, rowCount: number): Promise<MicroCase> {
  const { table } = await openTable()
  const writer = new FrameWriter(1 << 21)
  let visited = 0
  let windowEndMs = WINDOW_END_MS
  return {
    name: `state: make and close ${rowCount} rows`,
    recordsPerRun: rowCount,
    run() {
      visited = 0
      windowEndMs += 1000
      addToAll(table, idsOf(table, keys, rowCount), windowEndMs)
      table.closeWindow(windowEndMs, () => visited++)
      table.seal(windowEndMs, writer, 0, 0)
    },
    check: () => assert.deepEqual([visited, table.rowCount, table.keyCount], [rowCount, 0, 0]),
  }
}

async function flushCase(keys: KeyBytes, rowCount: number): Promise<MicroCase> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const { store, table } = await openTable(folder)
  const ids = idsOf(table, keys, rowCount)
  const writer = new FrameWriter(1 << 21)
  let epoch = 0
  return {
    name: `state: change, seal and flush ${rowCount} rows to LMDB`,
    recordsPerRun: rowCount,
    async run() {
      epoch++
      addToAll(table, ids, WINDOW_END_MS)
      sealEpoch(store, table, writer, epoch)
      const flushed = await store.flush(epoch, 't')
      assert.deepEqual(flushed, { epoch, rowCount })
    },
    check: () => assert.equal([...store.range(Uint8Array.of(0), Uint8Array.of(0xff))].length, rowCount),
    async close() {
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function crcCase(rowCount: number): MicroCase {
  const rowBytes = 18 + WIDTH * 8
  const bytes = new Uint8Array(rowBytes).fill(0x5a)
  let crc = 0
  return {
    name: `state: CRC32C of a row of ${rowBytes} bytes`,
    recordsPerRun: rowCount,
    run() {
      for (let i = 0; i < rowCount; i++) crc = crc32c(bytes, 0, rowBytes)
    },
    check: () => assert.equal(crc, crc32c(bytes, 9, rowBytes, crc32c(bytes, 0, 9))),
  }
}

async function openTable(folder?: string): Promise<{ store: TaskStore; table: SlabTable }> {
  const { store } = await openStore({
    folder,
    taskId: '0_0',
    planHash: 'bench',
    changelogTopicId: 't',
    changelogLow: 0,
    nowMs: () => 0,
    restoreBytesMax: () => 64 << 20,
  })
  store.restored(undefined)
  const table = createSlabTable({ operatorId: 1, width: WIDTH, isWindowed: true, store, memoryBytesMax: MEMORY_BYTES })
  return { store, table }
}

function idsOf(table: SlabTable, { bytes, starts, lengths }: KeyBytes, rowCount: number): Int32Array {
  return Int32Array.from({ length: rowCount }, (_, i) => table.internKey(bytes, starts[i]!, lengths[i]!))
}

function addToAll(table: SlabTable, ids: Int32Array, windowEndMs: number): void {
  for (let i = 0; i < ids.length; i++) {
    const at = table.rowFor(ids[i]!, windowEndMs)
    table.slots[at * WIDTH] = table.slots[at * WIDTH]! + 1
    table.touch(at)
  }
}

function sealEpoch(store: TaskStore, table: SlabTable, writer: FrameWriter, epoch: number): ArrayBuffer | undefined {
  table.seal(epoch, writer, 0, 0)
  store.sealed(epoch, positionAt(epoch))
  store.committed(epoch)
  return writer.take()
}

function sumOfSlots(table: SlabTable): number {
  let sum = 0
  table.forEachRow((row) => {
    sum += table.slots[row * WIDTH]!
  })
  return sum
}

function positionAt(epoch: number): TaskPosition {
  return {
    taskId: '0_0',
    epoch,
    instanceId: 'bench',
    inputOffset: epoch,
    watermarkMs: 0,
    eventTimeMsMax: 0,
    isEnded: false,
    source: 'trades',
    planHash: 'bench',
    counts: noCounts(),
  }
}
