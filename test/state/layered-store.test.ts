// The layered store against a naive model: any interleaving of seals, commits, flushes and crashes. Quick.
// Keeps SPEC: STATE-1 (the store never leads the committed epoch), STATE-2 (reads merge all layers), STATE-7.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Backend, TaskStore } from '../../src/state/contract.ts'
import { compareKeys } from '../../src/state/keys.ts'
import { createLayeredStore } from '../../src/state/layered-store.ts'
import { openLmdbBackend } from '../../src/state/lmdb-backend.ts'
import { createMemoryBackend } from '../../src/state/memory-backend.ts'
import { decodeMeta } from '../../src/state/meta.ts'
import { hex, text } from './backend-cases.ts'
import { gatedBackend } from './gated-backend.ts'
import { positionAt } from './positions.ts'
import { tempFolder } from './temp-folder.ts'

function storeOver(backend: Backend, unflushedBytesMax = 1 << 20): TaskStore {
  const bytes = backend.meta()
  const meta = bytes === undefined ? undefined : decodeMeta(bytes)
  return createLayeredStore({
    backend,
    taskId: '0_0',
    planHash: 'p',
    changelogTopicId: 't',
    meta,
    nowMs: () => 1000,
    restoreBytesMax: () => unflushedBytesMax,
  })
}

type Changes = Map<string, Uint8Array | undefined>
type Rows = Map<string, Uint8Array>

function applied(rows: Rows, changes: Changes): Rows {
  const result = new Map(rows)
  for (const [key, value] of changes) {
    if (value === undefined) result.delete(key)
    else result.set(key, value)
  }
  return result
}

/** The naive twin: whole maps, copied at each step. */
class Model {
  sealing: Changes = new Map()
  sealed: { epoch: number; changes: Changes }[] = []
  committed: Rows = new Map()
  committedEpoch = -1
  flushed: Rows = new Map()
  flushedEpoch = -1

  view(): Rows {
    let rows = this.committed
    for (const { changes } of this.sealed) rows = applied(rows, changes)
    return applied(rows, this.sealing)
  }
  commit(epoch: number): void {
    while (this.sealed.length > 0 && this.sealed[0]!.epoch <= epoch) {
      const sealed = this.sealed.shift()!
      this.committed = applied(this.committed, sealed.changes)
      this.committedEpoch = sealed.epoch
    }
  }
  crash(): void {
    this.sealing = new Map()
    this.sealed = []
    this.committed = this.flushed
    this.committedEpoch = this.flushedEpoch
  }
}

type Step =
  | { do: 'row'; key: Uint8Array; value: Uint8Array | undefined }
  | { do: 'seal' }
  | { do: 'commit'; behind: number }
  | { do: 'flush' }
  | { do: 'settle' }
  | { do: 'crash' }

const anyKey = fc
  .array(fc.constantFrom(0, 7, 0xff), { minLength: 0, maxLength: 3 })
  .map((bytes) => Uint8Array.from([0, 1, ...bytes]))
const anyValue = fc.option(fc.uint8Array({ maxLength: 12 }), { nil: undefined })
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('row' as const), key: anyKey, value: anyValue }) },
  { weight: 4, arbitrary: fc.constant<Step>({ do: 'seal' }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('commit' as const), behind: fc.nat({ max: 2 }) }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'flush' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'settle' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'crash' }) },
)

function hexMap(rows: Iterable<[Uint8Array, Uint8Array]>): string[] {
  return [...rows].map(([key, value]) => `${hex(key)}=${hex(value)}`)
}

function expectReads(store: TaskStore, rows: Rows): void {
  const from = Uint8Array.of(0, 1)
  const to = Uint8Array.of(0, 2)
  const sorted = [...rows].map(([key, value]): [Uint8Array, Uint8Array] => [Buffer.from(key, 'hex'), value])
  sorted.sort((a, b) => compareKeys(a[0], b[0]))
  expect(hexMap(store.range(from, to))).toEqual(hexMap(sorted))
  const middle = Uint8Array.of(0, 1, 7)
  const firsts = sorted.map(([key]) => key).filter((key) => compareKeys(key, middle) >= 0)
  const first = store.firstKeyAtOrAfter(middle)
  expect(first && hex(first)).toBe(firsts[0] && hex(firsts[0]))
  for (const key of [middle, from, Uint8Array.of(0, 1, 0xff, 0)]) {
    const value = store.get(key)
    expect(value && hex(value)).toBe(rows.get(hex(key)) && hex(rows.get(hex(key))!))
  }
}

/** Runs steps on a store and the model side by side; the backend's writes wait at a gate. */
async function runSteps(open: () => Promise<Backend>, reopen: (backend: Backend) => Promise<Backend>, steps: Step[]) {
  let inner = await open()
  let gate = gatedBackend(inner)
  let store = storeOver(gate.backend)
  store.restored(undefined)
  const model = new Model()
  let epoch = 0
  let flushing: { done: Promise<unknown>; rows: Rows; epoch: number } | undefined
  const settle = async (): Promise<void> => {
    if (flushing === undefined) return
    gate.release()
    await flushing.done
    model.flushed = flushing.rows
    model.flushedEpoch = flushing.epoch
    flushing = undefined
  }
  for (const step of steps) {
    switch (step.do) {
      case 'row':
        store.sealRow(step.key, step.value)
        model.sealing.set(hex(step.key), step.value)
        break
      case 'seal':
        epoch++
        store.sealed(epoch, positionAt(epoch))
        model.sealed.push({ epoch, changes: model.sealing })
        model.sealing = new Map()
        break
      case 'commit':
        store.committed(epoch - step.behind)
        model.commit(epoch - step.behind)
        break
      case 'flush': {
        await settle()
        const done = store.flush(model.committedEpoch, 't')
        await gate.reached()
        flushing = { done, rows: model.committed, epoch: model.committedEpoch }
        break
      }
      case 'settle':
        await settle()
        expect(store.flushedEpoch).toBe(model.flushedEpoch)
        break
      case 'crash': {
        // The write under way never comes to the backend, as after a kill before its commit.
        gate.abandon()
        flushing = undefined
        inner = await reopen(inner)
        gate = gatedBackend(inner)
        store = storeOver(gate.backend)
        model.crash()
        const meta = inner.meta()
        const position = meta === undefined ? undefined : decodeMeta(meta)!.position
        expect(position?.epoch ?? -1).toBe(model.flushedEpoch)
        store.restored(undefined)
        break
      }
    }
    expectReads(store, model.view())
  }
  await settle()
  await inner.close()
}

describe('a layered store', () => {
  test('reads as the model at every step and reopens as the last flushed epoch, in memory', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 60 }), (steps) =>
        runSteps(
          async () => createMemoryBackend(),
          async (backend) => backend,
          steps,
        ),
      ),
      { numRuns: 300 },
    )
  })

  test('reads as the model at every step and reopens as the last flushed epoch, on disk', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 60 }), async (steps) => {
        const folder = tempFolder()
        const open = (): Promise<Backend> => openLmdbBackend({ folder, taskId: '0_0' })
        const reopen = async (backend: Backend): Promise<Backend> => {
          await backend.close()
          return open()
        }
        await runSteps(open, reopen, steps)
      }),
      { numRuns: 25 },
    )
  })

  test('flushes rows and position of the committed epoch, not those sealed after it', async () => {
    const backend = createMemoryBackend()
    const store = storeOver(backend)
    store.restored(undefined)
    store.sealRow(text('a'), text('1'))
    store.sealed(1, positionAt(1))
    store.sealRow(text('a'), text('2'))
    store.sealed(2, positionAt(2))
    store.committed(1)
    expect(await store.flush(77, 't')).toEqual({ epoch: 1, rowCount: 1 })
    expect(hex(backend.get(text('a'))!)).toBe(hex(text('1')))
    const meta = decodeMeta(backend.meta()!)!
    expect([meta.position, meta.changelogOffset, meta.changelogTopicId]).toEqual([positionAt(1), 77, 't'])
    expect(hex(store.get(text('a'))!)).toBe(hex(text('2')))
  })

  test('takes what is committed during a flush into the next one, position and rows alike', async () => {
    const inner = createMemoryBackend()
    const gate = gatedBackend(inner)
    const store = storeOver(gate.backend)
    store.restored(undefined)
    const commit = (epoch: number): void => {
      store.sealRow(text('a'), text(String(epoch)))
      store.sealed(epoch, positionAt(epoch))
      store.committed(epoch)
    }
    commit(1)
    const first = store.flush(1, 't')
    await gate.reached()
    commit(2)
    const second = store.flush(2, 't')
    commit(3)
    gate.release()
    expect((await first).epoch).toBe(1)
    expect(hex(inner.get(text('a'))!)).toBe(hex(text('1')))
    await gate.reached()
    gate.release()
    expect((await second).epoch).toBe(3)
    expect(hex(inner.get(text('a'))!)).toBe(hex(text('3')))
    expect(decodeMeta(inner.meta()!)!.position!.epoch).toBe(3)
  })

  test('counts a row that is written again and again once', async () => {
    const store = storeOver(createMemoryBackend())
    store.restored(undefined)
    const value = new Uint8Array(100)
    for (let epoch = 1; epoch <= 50; epoch++) {
      store.sealRow(text('hot'), value)
      store.sealed(epoch, positionAt(epoch))
      store.committed(epoch)
    }
    expect(store.unflushedBytes).toBeGreaterThan(100)
    expect(store.unflushedBytes).toBeLessThan(200)
  })

  test('is not used again after a write that failed', async () => {
    const gate = gatedBackend(createMemoryBackend())
    const store = storeOver(gate.backend)
    store.restored(undefined)
    store.sealRow(text('a'), text('1'))
    store.sealed(1, positionAt(1))
    store.committed(1)
    const flushed = store.flush(1, 't')
    const waiting = store.flush(1, 't')
    await gate.reached()
    gate.fail(new Error('no space left on device'))
    await expect(flushed).rejects.toMatchObject({ code: 'MR5003', action: 'rebuild' })
    await expect(flushed).rejects.toThrow('no space left on device')
    await expect(waiting).rejects.toMatchObject({ code: 'MR5003' })
    expect(() => store.get(text('a'))).toThrow('MR5003')
    expect(() => store.sealed(2, positionAt(2))).toThrow('MR5003')
    await expect(store.flush(1, 't')).rejects.toMatchObject({ code: 'MR5003' })
    expect(store.flushedEpoch).toBe(-1)
    await store.close()
  })

  test('writes restored rows when they are too many, without a position until a marker is known', async () => {
    const backend = createMemoryBackend()
    const store = storeOver(backend, 1000)
    let flushes = 0
    for (let offset = 0; offset < 100; offset++) {
      const full = store.restoreRow(text(`k${offset}`), new Uint8Array(40), offset)
      if (full === undefined) continue
      flushes++
      await full
      const meta = decodeMeta(backend.meta()!)!
      expect([meta.position, meta.changelogOffset]).toEqual([undefined, offset + 1])
    }
    expect(flushes).toBeGreaterThan(5)
    expect(store.unflushedBytes).toBeLessThanOrEqual(1000)
    store.restored(positionAt(9))
    expect([...store.range(text('k'), text('l'))]).toHaveLength(100)
    expect(await store.flush(100, 't')).toMatchObject({ epoch: 9 })
    expect(decodeMeta(backend.meta()!)!.position).toEqual(positionAt(9))
  })

  test('writes what waits at the end of a restore with its position, in key order, when it is more than may wait', async () => {
    const inner = createMemoryBackend()
    const written: string[] = []
    const backend: Backend = {
      ...inner,
      get: (key) => inner.get(key),
      range: (from, to) => inner.range(from, to),
      firstKeyAtOrAfter: (from) => inner.firstKeyAtOrAfter(from),
      meta: () => inner.meta(),
      write: (rows, meta) => {
        const list = [...rows].map(
          ([key, value]) => [key.slice(), value?.slice()] as [Uint8Array, Uint8Array | undefined],
        )
        written.push(...list.map(([key]) => new TextDecoder().decode(key)))
        return inner.write(list, meta)
      },
    }
    const store = storeOver(backend)
    for (const [offset, key] of ['m', 'a', 'z'].entries()) store.restoreRow(text(key), new Uint8Array(40), offset)
    await store.writeRestored(positionAt(9), 1_000)
    expect(written).toEqual([])
    await store.writeRestored(positionAt(9), 100)
    expect(written).toEqual(['a', 'm', 'z'])
    expect(decodeMeta(inner.meta()!)).toMatchObject({ position: positionAt(9), changelogOffset: 3 })
    store.restored(positionAt(9))
    expect(store.unflushedBytes).toBe(0)
    expect([...store.range(text('a'), text('zz'))]).toHaveLength(3)
  })

  test('refuses to flush before it is restored and to seal epochs out of order', async () => {
    const store = storeOver(createMemoryBackend())
    await expect(store.flush(0, 't')).rejects.toThrow('not restored')
    store.restored(undefined)
    store.sealed(2, positionAt(2))
    expect(() => store.sealed(2, positionAt(2))).toThrow('epoch 2')
    expect(() => store.restoreRow(text('a'), undefined, 0)).toThrow('restored already')
    await store.close()
    expect(() => store.get(text('a'))).toThrow('closed')
  })
})
