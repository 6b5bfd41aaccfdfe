// A view with a copy on disk, against a plain model: changes, writes, a memory that is too small, and ends of all kinds. Holds SPEC: PUSH-3,
// PUSH-12, PUSH-40.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLog } from '../../src/ops/log.ts'
import { systemClock } from '../../src/ops/system-clock.ts'
import { type CopiedView, openCopiedView } from '../../src/push/copied-view.ts'
import { pushMetrics } from '../../src/push/push-metrics.ts'
import type { ViewRow } from '../../src/push/view-store.ts'

const HOUR_MS = 3_600_000
const identity = { view: 'v', topic: 't', topicId: 'id', format: 'json' }
const log = createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} })

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-copied-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

function opened(
  high: number,
  limits: Partial<{ viewBytesMax: number; recentRowsMax: number; viewRowsMax: number }> = {},
): Promise<CopiedView> {
  const marks = { low: [0], high: [high], removalMs: HOUR_MS, isIdKnown: true }
  const all = { viewRowsMax: 1e6, viewBytesMax: 1 << 20, recentRowsMax: 16, ...limits }
  const counts = pushMetrics(undefined).ofView('v').copy
  return openCopiedView({ dir, identity, marks, limits: all, counts, clock: systemClock, log })
}

/** The topic, and what it comes to. */
class Model {
  readonly records: { key: string; json: string | undefined }[] = []
  put(view: CopiedView, key: string, json: string | undefined): void {
    view.store.apply({ partition: 0, offset: this.records.length, timestampMs: 0, key, json })
    this.records.push({ key, json })
  }
  /** What a client holds that was told all records before an offset. */
  rowsAt(offset: number): Map<string, string> {
    const rows = new Map<string, string>()
    for (const { key, json } of this.records.slice(0, offset)) {
      if (json === undefined) rows.delete(key)
      else rows.set(key, json)
    }
    return rows
  }
  get rows(): Map<string, string> {
    return this.rowsAt(this.records.length)
  }
  /** Brings a view that begins at its copy to the end. */
  catchUp(view: CopiedView): number {
    const from = view.store.nextOffset(0)
    for (let offset = from; offset < this.records.length; offset++) {
      view.store.apply({ partition: 0, offset, timestampMs: 0, ...this.records[offset]! })
    }
    return this.records.length - from
  }
}

function told(held: Map<string, string>, rows: Iterable<ViewRow>): Map<string, string> {
  for (const { key, json, isRemoval } of rows) {
    if (isRemoval) held.delete(key)
    else held.set(key, json)
  }
  return held
}

function check(view: CopiedView, model: Model): void {
  const { rows } = view.store
  const expected = model.rows
  const keys = [...expected.keys()].sort((a, b) => (a < b ? -1 : 1))
  expect(rows.size).toBe(expected.size)
  expect(view.store.order.from('', 1_000)).toEqual(keys)
  expect([...rows.values()].map(({ key, json }) => [key, json])).toEqual(keys.map((key) => [key, expected.get(key)]))
  expect([...rows.values('b')].map(({ key }) => key)).toEqual(keys.filter((key) => key.startsWith('b')))
  for (const key of ['a', 'b', 'ba', 'none']) expect(rows.get(key)?.json).toBe(expected.get(key))
}

const change = fc.record({
  key: fc.constantFrom('a', 'aa', 'b', 'ba', 'c', '\uffff', '\u{10000}', ''),
  value: fc.option(fc.nat(9)),
})
const step = fc.oneof(
  { weight: 6, arbitrary: change.map((one) => ({ kind: 'change' as const, ...one })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'publish' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'write' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'check' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), isClean: fc.boolean() }) },
)

describe('a view with a copy', () => {
  it('is what the topic comes to, and tells what changed since any position or that it does not know, over restarts of all kinds', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.constantFrom(400, 1_000, 1 << 20),
        fc.constantFrom(2, 8),
        async (steps, viewBytesMax, recentRowsMax) => {
          rmSync(dir, { recursive: true })
          const model = new Model()
          const limits = { viewBytesMax, recentRowsMax }
          let view = await opened(0, limits)
          view.keeper.reachedEnd(0, Date.now())
          for (const one of steps) {
            if (one.kind === 'change')
              model.put(view, one.key, one.value === null ? undefined : String(one.value).repeat(20))
            else if (one.kind === 'publish') view.store.publish()
            else if (one.kind === 'check') check(view, model)
            else if (one.kind === 'write') {
              view.store.publish()
              await view.keeper.turn()
            } else {
              if (one.isClean) view.store.publish()
              else view.keeper.stop()
              await view.keeper.close()
              view = await opened(model.records.length, limits)
              model.catchUp(view)
              view.keeper.reachedEnd(0, Date.now())
            }
          }
          view.store.publish()
          check(view, model)
          for (let offset = 0; offset <= model.records.length; offset++) {
            const rows = view.store.changesFrom([offset])
            if (rows !== undefined) expect(told(model.rowsAt(offset), rows)).toEqual(model.rows)
          }
          // The newest change is always known.
          expect(view.store.changesFrom([model.records.length])).toEqual([])
          await view.keeper.close()
        },
      ),
      { numRuns: 60 },
    )
  })
})
