// Slab tables against a naive map: all operations, memory for next to nothing, stores reopened. Quick.
// Keeps SPEC: STATE-2 (reads merge all layers), STATE-4 (no live window, no entry), STATE-8 (closing finds all rows),
// STATE-9 (a row that is written and read back is the same row).

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameWriter, sinkRecords } from '../../src/core/frame.ts'
import type { SlabTable, TaskStore } from '../../src/state/contract.ts'
import { operatorRange, plainKey, windowKey } from '../../src/state/keys.ts'
import { MemoryBudget } from '../../src/state/memory-budget.ts'
import { openStore } from '../../src/state/open-store.ts'
import { createSlabTable } from '../../src/state/slab-table.ts'
import { hex, text } from './backend-cases.ts'
import { positionAt } from './positions.ts'
import { tempFolder } from './temp-folder.ts'

const OPERATOR = 3
const WIDTH = 2

async function openedStore(folder?: string): Promise<TaskStore> {
  const { store, stored } = await openStore({
    folder,
    taskId: '0_0',
    planHash: 'p',
    changelogTopicId: 't',
    changelogLow: 0,
    nowMs: () => 0,
    restoreBytesMax: () => 1 << 20,
  })
  store.restored(stored.position)
  return store
}

function tableOver(store: TaskStore, isWindowed = true, memoryBytesMax: number | MemoryBudget = 1 << 20): SlabTable {
  return createSlabTable({ operatorId: OPERATOR, width: WIDTH, isWindowed, store, memoryBytesMax })
}

function rowOf(table: SlabTable, name: string, windowEndMs: number): number {
  const key = text(name)
  return table.rowFor(table.internKey(key, 0, key.length), windowEndMs)
}
function keyNameOf(table: SlabTable, row: number): string {
  const keyId = table.keyOf(row)
  const start = table.keyStart(keyId)
  return Buffer.from(table.keyArena.subarray(start, start + table.keyBytes(keyId))).toString()
}
/** Everything of a row in one line. */
function rowText(table: SlabTable, row: number): string {
  const slots = Array.from(table.slots.subarray(row * WIDTH, row * WIDTH + WIDTH))
  return `${table.windowEndOf(row)}/${keyNameOf(table, row)} ${slots} ${JSON.stringify(table.cells[row] ?? null)}`
}

type Step =
  | { do: 'add'; name: string; end: number; value: number; cell: string | undefined }
  | { do: 'delete'; name: string; end: number }
  | { do: 'close'; end: number }
  | { do: 'visit' }
  | { do: 'seal' | 'flush' | 'evict' | 'reopen' }

/** Names of many lengths, one a prefix of another, the empty one too. */
const anyName = fc.constantFrom(
  '',
  'a',
  'aa',
  'ab',
  'b',
  'SYM00001',
  'SYM00002',
  'a-name-of-some-length-that-is-no-word',
)
const anyEnd = fc.constantFrom(-60_000, -1, 0, 1000, 2000, 4_294_967_296_000)
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      name: anyName,
      end: anyEnd,
      value: fc.integer({ min: -5, max: 5 }),
      cell: fc.option(fc.string({ maxLength: 5 }), { nil: undefined }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), name: anyName, end: anyEnd }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('close' as const), end: anyEnd }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'visit' }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'seal' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'flush' }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'evict' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'reopen' }) },
)

interface ModelRow {
  name: string
  end: number
  slots: number[]
  cells: string[] | undefined
}
type ModelRows = Map<string, ModelRow>

function sortedModel(rows: ModelRows): ModelRow[] {
  return [...rows.values()].sort((a, b) => a.end - b.end || Buffer.compare(text(a.name), text(b.name)))
}
const modelText = (row: ModelRow): string => `${row.end}/${row.name} ${row.slots} ${JSON.stringify(row.cells ?? null)}`

/** Table, store and model side by side, over a folder or in memory. */
class Run {
  readonly folder: string | undefined
  readonly isWindowed: boolean
  readonly memoryBytesMax: number
  store!: TaskStore
  table!: SlabTable
  epoch = 0
  rows: ModelRows = new Map()
  flushed: ModelRows = new Map()
  /** What the changelog alone would restore. */
  changelog = new Map<string, string>()
  flushedChangelog = new Map<string, string>()
  readonly writer = new FrameWriter()

  constructor(folder: string | undefined, isWindowed: boolean, memoryBytesMax: number) {
    this.folder = folder
    this.isWindowed = isWindowed
    this.memoryBytesMax = memoryBytesMax
  }
  async open(): Promise<void> {
    this.store = await openedStore(this.folder)
    this.table = tableOver(this.store, this.isWindowed, this.memoryBytesMax)
  }
  seal(): void {
    this.epoch++
    this.table.seal(this.epoch, this.writer, 5, 7)
    this.store.sealed(this.epoch, positionAt(this.epoch))
    this.store.committed(this.epoch)
    const frame = this.writer.take()
    for (const record of frame === undefined ? [] : sinkRecords(frame)) {
      expect([record.topicIndex, record.partition]).toEqual([5, 7])
      if (record.value === undefined) this.changelog.delete(hex(record.key!))
      else this.changelog.set(hex(record.key!), hex(record.value))
    }
    expect([...this.changelog.keys()].sort()).toEqual(this.#modelKeys())
    const range = operatorRange(OPERATOR)
    const inStore = [...this.store.range(range.from, range.to)].map(([key, value]) => `${hex(key)}=${hex(value)}`)
    const keys = [...this.changelog.keys()].sort()
    expect(inStore).toEqual(keys.map((key) => `${key}=${this.changelog.get(key)}`))
  }
  async flush(): Promise<void> {
    this.seal()
    await this.store.flush(this.epoch, 't')
    this.flushed = structuredClone(this.rows)
    this.flushedChangelog = new Map(this.changelog)
  }
  async reopen(): Promise<void> {
    if (this.folder === undefined) return
    await this.store.close()
    this.rows = structuredClone(this.flushed)
    this.changelog = new Map(this.flushedChangelog)
    await this.open()
  }
  async step(step: Step): Promise<void> {
    switch (step.do) {
      case 'add':
        return this.add(step.name, this.isWindowed ? step.end : 0, step.value, step.cell)
      case 'delete':
        return this.delete(step.name, this.isWindowed ? step.end : 0)
      case 'close':
        return this.isWindowed ? this.close(step.end) : undefined
      case 'visit':
        return this.visit()
      case 'seal':
        return this.seal()
      case 'flush':
        return this.flush()
      case 'evict':
        return this.table.evict()
      case 'reopen':
        return this.reopen()
    }
  }
  add(name: string, end: number, value: number, cell: string | undefined): void {
    const id = `${end}/${name}`
    const table = this.table
    const row = rowOf(table, name, end)
    const model = this.rows.get(id) ?? { name, end, slots: [0, 0], cells: undefined }
    expect(table.wasCreated).toBe(!this.rows.has(id))
    expect(rowText(table, row)).toBe(modelText(model))
    this.rows.set(id, model)
    model.slots = [model.slots[0]! + value, model.slots[1]! + 1]
    table.slots[row * WIDTH] = table.slots[row * WIDTH]! + value
    table.slots[row * WIDTH + 1] = table.slots[row * WIDTH + 1]! + 1
    if (cell !== undefined) {
      model.cells = [...(model.cells ?? []), cell]
      table.cells[row] = [...((table.cells[row] as string[]) ?? []), cell]
    }
    table.touch(row)
  }
  delete(name: string, end: number): void {
    const id = `${end}/${name}`
    if (!this.rows.has(id)) return
    this.table.deleteRow(rowOf(this.table, name, end))
    this.rows.delete(id)
  }
  close(end: number): void {
    const expected = sortedModel(this.rows).filter((row) => row.end === end)
    const seen: string[] = []
    this.table.closeWindow(end, (row) => seen.push(rowText(this.table, row)))
    expect(seen).toEqual(expected.map(modelText))
    for (const row of expected) this.rows.delete(`${row.end}/${row.name}`)
    expect(this.table.windowEndsUpTo(Number.POSITIVE_INFINITY)).not.toContain(end)
  }
  visit(): void {
    const seen: string[] = []
    const rowsBefore = this.table.rowCount
    this.table.forEachRow((row) => seen.push(rowText(this.table, row)))
    expect(seen).toEqual(sortedModel(this.rows).map(modelText))
    expect(this.table.rowCount).toBe(rowsBefore)
  }
  checkWindows(): void {
    const ends = [...new Set(sortedModel(this.rows).map((row) => row.end))]
    const found = this.table.windowEndsUpTo(Number.POSITIVE_INFINITY)
    expect(found).toEqual(expect.arrayContaining(ends))
    expect(found).toEqual([...found].sort((a, b) => a - b))
    expect(this.table.windowEndMin).toBe(found[0] ?? Number.POSITIVE_INFINITY)
    expect(this.table.windowEndsUpTo(999)).toEqual(found.filter((end) => end <= 999))
  }
  /** Closes or deletes everything: then nothing is left anywhere. */
  async expectEmptyAtTheEnd(): Promise<void> {
    if (this.isWindowed) {
      for (const end of this.table.windowEndsUpTo(Number.POSITIVE_INFINITY)) this.close(end)
      expect(this.table.windowEndMin).toBe(Number.POSITIVE_INFINITY)
    } else for (const { name } of sortedModel(this.rows)) this.delete(name, 0)
    expect(this.rows.size).toBe(0)
    await this.flush()
    expect([this.table.rowCount, this.table.keyCount, this.table.bytes]).toEqual([0, 0, 0])
    const { from, to } = operatorRange(OPERATOR)
    expect([...this.store.range(from, to)]).toEqual([])
    await this.store.close()
  }
  #modelKeys(): string[] {
    const keys = [...this.rows.values()].map(({ name, end }) =>
      this.isWindowed ? windowKey(OPERATOR, end, text(name)) : plainKey(OPERATOR, text(name)),
    )
    return keys.map(hex).sort()
  }
}

async function runSteps(run: Run, steps: Step[]): Promise<void> {
  await run.open()
  for (const step of steps) {
    await run.step(step)
    run.checkWindows()
  }
  run.visit()
  await run.expectEmptyAtTheEnd()
}

describe('a slab table equals a map', () => {
  const cases = [
    {
      name: 'windowed, in memory, evicting all it can',
      isWindowed: true,
      isOnDisk: false,
      memoryBytesMax: 1,
      runs: 150,
    },
    { name: 'plain, in memory, evicting all it can', isWindowed: false, isOnDisk: false, memoryBytesMax: 1, runs: 100 },
    { name: 'windowed, in memory, evicting some', isWindowed: true, isOnDisk: false, memoryBytesMax: 900, runs: 100 },
    { name: 'windowed, on disk, evicting all it can', isWindowed: true, isOnDisk: true, memoryBytesMax: 1, runs: 25 },
    { name: 'plain, on disk, evicting some', isWindowed: false, isOnDisk: true, memoryBytesMax: 500, runs: 25 },
    { name: 'windowed, on disk, never evicting', isWindowed: true, isOnDisk: true, memoryBytesMax: 1e9, runs: 15 },
  ]
  test.each(cases)('after any steps: $name', async ({ isWindowed, isOnDisk, memoryBytesMax, runs }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 10, maxLength: 80 }), (steps) =>
        runSteps(new Run(isOnDisk ? tempFolder() : undefined, isWindowed, memoryBytesMax), steps),
      ),
      { numRuns: runs },
    )
  })
})

describe('a slab table', () => {
  test('knows the greatest window end of a key, or that it does not', async () => {
    const store = await openedStore()
    const table = tableOver(store)
    const a = (): number => table.internKey(new TextEncoder().encode('a'), 0, 1)
    expect(table.newestEndOf(a())).toBe(Number.NEGATIVE_INFINITY)
    for (const endMs of [20, 30, 10]) rowOf(table, 'a', endMs)
    expect(table.newestEndOf(a())).toBe(30)
    table.dropWindow(30)
    rowOf(table, 'a', 15)
    expect(table.newestEndOf(a())).toBeNaN()
    for (const endMs of [10, 15, 20]) table.dropWindow(endMs)
    expect(table.newestEndOf(a())).toBe(Number.NEGATIVE_INFINITY)
  })

  test('grows far beyond its first arrays and still finds every row', async () => {
    const table = tableOver(await openedStore())
    const keyCount = 5000
    for (let i = 0; i < keyCount * 3; i++) {
      const row = rowOf(table, `key-${i % keyCount}`, 1000 * (1 + Math.floor(i / keyCount)))
      table.slots[row * WIDTH] = i
      table.touch(row)
    }
    expect([table.rowCount, table.keyCount]).toEqual([keyCount * 3, keyCount])
    for (let i = 0; i < keyCount * 3; i++) {
      const row = rowOf(table, `key-${i % keyCount}`, 1000 * (1 + Math.floor(i / keyCount)))
      expect(table.wasCreated).toBe(false)
      if (table.slots[row * WIDTH] !== i) throw new Error(`row of key-${i % keyCount} is ${table.slots[row * WIDTH]}`)
    }
  })

  test('forgets a row that never reached the store without a tombstone', async () => {
    const store = await openedStore()
    const table = tableOver(store)
    table.deleteRow(rowOf(table, 'a', 1000))
    rowOf(table, 'b', 2000)
    table.closeWindow(2000, () => {})
    const writer = new FrameWriter()
    table.seal(1, writer, 0, 0)
    expect(writer.take()).toBeUndefined()
  })

  test('seals a changed row once, and not again until it is touched', async () => {
    const table = tableOver(await openedStore())
    const row = rowOf(table, 'a', 1000)
    table.touch(row)
    table.touch(row)
    const writer = new FrameWriter()
    const sealedCount = (epoch: number): number => {
      table.seal(epoch, writer, 0, 0)
      const frame = writer.take()
      return frame === undefined ? 0 : sinkRecords(frame).length
    }
    expect([sealedCount(1), sealedCount(2)]).toEqual([1, 0])
    table.touch(rowOf(table, 'a', 1000))
    expect([sealedCount(3), sealedCount(4)]).toEqual([1, 0])
  })

  test('keeps key ids without rows until the next seal', async () => {
    const table = tableOver(await openedStore())
    const first = rowOf(table, 'a', 1000)
    const keyId = table.keyOf(first)
    table.closeWindow(1000, () => {})
    const other = table.internKey(text('b'), 0, 1)
    expect(other).not.toBe(keyId)
    const again = table.rowFor(keyId, 2000)
    expect(keyNameOf(table, again)).toBe('a')
    table.seal(1, new FrameWriter(), 0, 0)
    expect(table.keyCount).toBe(1) // b never got a row
  })

  test('evicts only what is flushed, and brings it back', async () => {
    const store = await openedStore()
    const table = tableOver(store, true, 1)
    const row = rowOf(table, 'a', 1000)
    table.slots.set([1.5, -0], row * WIDTH)
    table.cells[row] = [undefined, 'x', Number.NaN, { deep: [1n] }]
    table.seal(1, new FrameWriter(), 0, 0)
    store.sealed(1, positionAt(1))
    store.committed(1)
    table.evict()
    expect(table.rowCount).toBe(1) // committed, not flushed
    await store.flush(0, 't')
    table.evict()
    expect([table.rowCount, table.keyCount, table.evictedRowCount, table.windowEndMin]).toEqual([0, 0, 1, 1000])
    const back = rowOf(table, 'a', 1000)
    expect(table.wasCreated).toBe(false)
    expect(Array.from(table.slots.subarray(back * WIDTH, back * WIDTH + WIDTH))).toEqual([1.5, -0])
    expect(table.cells[back]).toEqual([undefined, 'x', Number.NaN, { deep: [1n] }])
  })

  test('does not evict a row that was changed since it was flushed', async () => {
    const store = await openedStore()
    const table = tableOver(store, true, 1)
    const row = rowOf(table, 'a', 1000)
    table.seal(1, new FrameWriter(), 0, 0)
    store.sealed(1, positionAt(1))
    store.committed(1)
    await store.flush(0, 't')
    table.touch(row)
    table.evict()
    expect(table.rowCount).toBe(1)
  })

  test('keeps the rows in use longer than the others', async () => {
    const store = await openedStore()
    const table = tableOver(store, true, 40 * 100)
    const sealAndFlush = async (epoch: number): Promise<void> => {
      table.seal(epoch, new FrameWriter(), 0, 0)
      store.sealed(epoch, positionAt(epoch))
      store.committed(epoch)
      await store.flush(0, 't')
      table.evict()
    }
    for (let i = 0; i < 100; i++) table.touch(rowOf(table, `cold-${i}`, 1000))
    await sealAndFlush(1)
    for (let epoch = 2; epoch < 10; epoch++) {
      table.touch(rowOf(table, 'hot', 1000))
      for (let i = 0; i < 10; i++) table.touch(rowOf(table, `new-${epoch}-${i}`, 1000))
      await sealAndFlush(epoch)
      const evicted = table.evictedRowCount
      rowOf(table, 'hot', 1000)
      expect([table.wasCreated, table.evictedRowCount]).toEqual([false, evicted])
    }
    expect(table.evictedRowCount).toBeGreaterThan(100)
    expect(table.bytes).toBeLessThanOrEqual(40 * 100)
  })

  test('asks the store only where rows of the window are not in memory', async () => {
    const store = await openedStore()
    let getCount = 0
    const counted: TaskStore = new Proxy(store, {
      get(target, name) {
        if (name === 'get') getCount++
        const member = Reflect.get(target, name, target) as unknown
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    const table = tableOver(counted, true, 1)
    for (let i = 0; i < 10; i++) rowOf(table, `k${i}`, 1000)
    table.seal(1, new FrameWriter(), 0, 0)
    store.sealed(1, positionAt(1))
    store.committed(1)
    await store.flush(0, 't')
    for (let i = 0; i < 10; i++) rowOf(table, `new${i}`, 1000)
    expect(getCount).toBe(0)
    table.evict()
    rowOf(table, 'k1', 1000)
    rowOf(table, 'another', 1000)
    expect(getCount).toBe(2)
    rowOf(table, 'another', 2000)
    expect(getCount).toBe(2)
  })

  test('shares a limit of memory with others until it is dropped', async () => {
    const store = await openedStore()
    const budget = new MemoryBudget(1000)
    const one = tableOver(store, true, budget)
    const other = createSlabTable({ operatorId: 9, width: 1, isWindowed: true, store, memoryBytesMax: budget })
    for (let i = 0; i < 20; i++) rowOf(one, `k${i}`, 1000)
    rowOf(other, 'k', 1000)
    expect(budget.excessBytes).toBe(one.bytes + other.bytes - 1000)
    one.dropAll()
    expect(budget.excessBytes).toBe(other.bytes - 1000)
    expect([one.rowCount, one.keyCount, one.bytes]).toEqual([0, 0, 0])
  })

  test('tells of each row before it leaves memory, whichever way', async () => {
    const store = await openedStore()
    const table = tableOver(store, true, 1)
    const told: string[] = []
    table.onDrop = (row) => told.push(`${keyNameOf(table, row)}@${table.windowEndOf(row)}`)
    for (const name of ['a', 'b', 'c']) rowOf(table, name, 1000)
    rowOf(table, 'd', 2000)
    rowOf(table, 'e', 3000)
    table.deleteRow(rowOf(table, 'a', 1000))
    expect(told.splice(0)).toEqual(['a@1000'])
    table.dropWindow(2000)
    expect(told.splice(0)).toEqual(['d@2000'])
    table.seal(1, new FrameWriter(), 0, 0)
    store.sealed(1, positionAt(1))
    store.committed(1)
    await store.flush(0, 't')
    table.evict()
    expect(told.splice(0).sort()).toEqual(['b@1000', 'c@1000', 'e@3000'])
    rowOf(table, 'e', 3000)
    table.closeWindow(1000, () => {})
    expect(told.splice(0)).toEqual(['b@1000', 'c@1000'])
    table.dropAll()
    expect(told).toEqual(['e@3000'])
  })

  test('is refused over a store that is not restored, and with the reserved operator id', async () => {
    const store = await openedStore()
    expect(() => createSlabTable({ operatorId: 0xffff, width: 1, isWindowed: true, store, memoryBytesMax: 1 })).toThrow(
      'operator id',
    )
    const { store: fresh } = await openStore({
      folder: undefined,
      taskId: '0_0',
      planHash: 'p',
      changelogTopicId: undefined,
      changelogLow: 0,
      nowMs: () => 0,
      restoreBytesMax: () => 1,
    })
    expect(() => tableOver(fresh)).toThrow('restored')
  })
})
