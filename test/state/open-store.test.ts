// What a store is opened with and when it is wiped. Quick.
// Keeps SPEC: STATE-5 (a store of another plan, task, changelog or time is wiped), STATE-6 (damage is never read as state).

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { OpenedStore } from '../../src/state/contract.ts'
import { decodeMeta, encodeMeta, positionOf, STORE_VERSION, type StoreMeta } from '../../src/state/meta.ts'
import { type OpenStoreOptions, openStore, STORE_AGE_MS_MAX } from '../../src/state/open-store.ts'
import { hex, text } from './backend-cases.ts'
import { positionAt } from './positions.ts'
import { tempFolder } from './temp-folder.ts'

const WRITTEN_MS = 1_800_000_000_000

function optionsFor(folder: string | undefined, changes: Partial<OpenStoreOptions> = {}): OpenStoreOptions {
  return {
    folder,
    taskId: '0_0',
    planHash: 'p',
    changelogTopicId: 't',
    changelogLow: 10,
    nowMs: () => WRITTEN_MS,
    restoreBytesMax: () => 1 << 20,
    ...changes,
  }
}

/** A folder whose store holds one row of epoch 4 and stopped at changelog offset 50. */
async function filledFolder(): Promise<string> {
  const folder = tempFolder()
  const { store } = await openStore(optionsFor(folder))
  store.restored(undefined)
  store.sealRow(text('a'), text('1'))
  store.sealed(4, positionAt(4))
  store.committed(4)
  await store.flush(50, 't')
  await store.close()
  return folder
}

async function rowCountOf({ store }: OpenedStore): Promise<number> {
  const rowCount = [...store.range(Uint8Array.of(0), Uint8Array.of(0xff))].length
  await store.close()
  return rowCount
}

describe('an opened store', () => {
  test('is empty at first and is restored from the start of the changelog', async () => {
    const opened = await openStore(optionsFor(tempFolder()))
    expect(opened.stored).toEqual({ position: undefined, changelogOffset: 10, wiped: undefined })
    expect(opened.store.flushedEpoch).toBe(-1)
    expect(await rowCountOf(opened)).toBe(0)
  })

  test('goes on from what it was flushed with', async () => {
    const opened = await openStore(optionsFor(await filledFolder()))
    expect(opened.stored).toEqual({ position: positionAt(4), changelogOffset: 50, wiped: undefined })
    expect(opened.store.flushedEpoch).toBe(4)
    expect(hex(opened.store.get(text('a'))!)).toBe(hex(text('1')))
    await opened.store.close()
  })

  test.each<[string, Partial<OpenStoreOptions>, RegExp | undefined]>([
    // what differs, how, why it is wiped
    ['nothing', {}, undefined],
    ['the task', { taskId: '0_1' }, /task 0_0, not 0_1/],
    ['the plan', { planHash: 'q' }, /plan p, not q/],
    ['the topic id', { changelogTopicId: 'u' }, /changelog t, not u/],
    ['no changelog any more', { changelogTopicId: undefined }, /changelog t, not none/],
    ['the log starts where it stopped', { changelogLow: 50 }, undefined],
    ['the log starts after', { changelogLow: 51 }, /offset 50, before the log's start 51/],
    ['it is 3.5 days old', { nowMs: () => WRITTEN_MS + STORE_AGE_MS_MAX }, undefined],
    ['it is older', { nowMs: () => WRITTEN_MS + STORE_AGE_MS_MAX + 1 }, /last written 302400001 ms ago/],
    ['the clock went back', { nowMs: () => WRITTEN_MS - 1e9 }, undefined],
  ])('is wiped when it must be: %s', async (_, changes, reason) => {
    const options = optionsFor(await filledFolder(), changes)
    const opened = await openStore(options)
    if (reason === undefined) expect(opened.stored).toMatchObject({ changelogOffset: 50, wiped: undefined })
    else {
      expect(opened.stored).toMatchObject({ position: undefined, changelogOffset: options.changelogLow })
      expect(opened.stored.wiped).toMatch(reason)
    }
    expect(await rowCountOf(opened)).toBe(reason === undefined ? 1 : 0)
    const again = await openStore(options)
    expect(again.stored.wiped).toBeUndefined()
    await again.store.close()
  })

  test('is wiped when its rows are damaged, and can be filled again', async () => {
    const folder = await filledFolder()
    writeFileSync(join(folder, 'data.mdb'), readFileSync(join(folder, 'data.mdb')).subarray(0, 5000))
    const opened = await openStore(optionsFor(folder))
    expect(opened.stored.wiped).toMatch(/cut off/)
    expect(opened.stored.position).toBeUndefined()
    opened.store.restored(undefined)
    opened.store.sealRow(text('b'), text('2'))
    opened.store.sealed(1, positionAt(1))
    opened.store.committed(1)
    await opened.store.flush(60, 't')
    await opened.store.close()
    const again = await openStore(optionsFor(folder))
    expect(again.stored).toEqual({ position: positionAt(1), changelogOffset: 60, wiped: undefined })
    await again.store.close()
  })

  test('whose restore was cut off goes on where it was, without a position until a marker comes', async () => {
    const folder = await filledFolder()
    const options = optionsFor(folder, { restoreBytesMax: () => 100 })
    const first = await openStore(options)
    let offset = 50
    for (; offset < 60; offset++) await first.store.restoreRow(text(`k${offset}`), new Uint8Array(80), offset)
    await first.store.close()
    const second = await openStore(options)
    expect(second.stored).toEqual({ position: undefined, changelogOffset: 60, wiped: undefined })
    second.store.restored(positionAt(9))
    await second.store.flush(61, 't')
    await second.store.close()
    const third = await openStore(options)
    expect(third.stored).toEqual({ position: positionAt(9), changelogOffset: 61, wiped: undefined })
    expect(await rowCountOf(third)).toBe(11)
  })

  test('in memory starts empty each time', async () => {
    const { store, stored } = await openStore(optionsFor(undefined))
    expect(stored).toEqual({ position: undefined, changelogOffset: 10, wiped: undefined })
    store.restored(undefined)
    store.sealRow(text('a'), text('1'))
    store.sealed(1, positionAt(1))
    store.committed(1)
    expect(await store.flush(1, 't')).toEqual({ epoch: 1, rowCount: 1 })
    expect(hex(store.get(text('a'))!)).toBe(hex(text('1')))
    await store.close()
  })

  test('is empty when a wipe was cut off after the rows', async () => {
    const folder = await filledFolder()
    rmSync(join(folder, 'data.mdb'))
    const opened = await openStore(optionsFor(folder))
    expect(opened.stored).toEqual({ position: undefined, changelogOffset: 10, wiped: undefined })
    await opened.store.close()
  })
})

describe('the meta record', () => {
  const meta: StoreMeta = {
    version: STORE_VERSION,
    taskId: '0_0',
    planHash: 'p',
    changelogTopicId: undefined,
    changelogOffset: 7,
    lastWriteMs: 8,
    position: { ...positionAt(3), watermarkMs: Number.POSITIVE_INFINITY, eventTimeMsMax: Number.NEGATIVE_INFINITY },
  }

  test('comes back as it was, infinite watermarks included', () => {
    expect(decodeMeta(encodeMeta(meta))).toEqual(meta)
    const bare = { ...meta, changelogTopicId: 't', position: undefined }
    expect(decodeMeta(encodeMeta(bare))).toEqual(bare)
  })

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['no record', Uint8Array.of(0x93, 1, 2, 3)],
    ['text', text('meta')],
    ['another version', encodeMeta({ ...meta, version: STORE_VERSION + 1 })],
    ['a position with a part missing', encodeMeta({ ...meta, position: { epoch: 1 } as never })],
    ['an offset that is no number', encodeMeta({ ...meta, changelogOffset: '7' as never })],
  ])('is refused when it is %s', (_, bytes) => {
    expect(decodeMeta(bytes)).toBeUndefined()
  })

  test('proves a position before it is trusted', () => {
    expect(positionOf(positionAt(1))).toEqual(positionAt(1))
    expect(positionOf({ ...positionAt(1), epoch: '1' })).toBeUndefined()
    expect(positionOf({ ...positionAt(1), counts: { in: 1 } })).toBeUndefined()
    expect(positionOf(undefined)).toBeUndefined()
  })
})
