// A copy that cannot be written, and one that is slower than the topic. Holds SPEC: PUSH-3, PUSH-40.
import { expect, it } from 'vitest'
import { createLog } from '../../src/ops/log.ts'
import { CopiedRows } from '../../src/push/copied-rows.ts'
import { CopyKeeper } from '../../src/push/copy-keeper.ts'
import { pushMetrics } from '../../src/push/push-metrics.ts'
import { ViewCopy } from '../../src/push/view-copy.ts'
import { ViewStore } from '../../src/push/view-store.ts'
import type { Backend } from '../../src/state/contract.ts'
import { createMemoryBackend } from '../../src/state/memory-backend.ts'
import { VirtualTime } from '../../src/testing/virtual-time.ts'

const ROW_BYTES = 2 * (4 + 100) + 160

/** A backend whose writes wait for `go`, or fail after it when that is said. */
class Gate {
  readonly #inner = createMemoryBackend()
  failure: Error | undefined
  go: Promise<void> = Promise.resolve()
  writes = 0
  readonly backend: Backend = {
    get: (key) => this.#inner.get(key),
    range: (from, to) => this.#inner.range(from, to),
    firstKeyAtOrAfter: (from) => this.#inner.firstKeyAtOrAfter(from),
    meta: () => this.#inner.meta(),
    wipe: () => this.#inner.wipe(),
    close: () => this.#inner.close(),
    write: async (rows, meta) => {
      this.writes++
      await this.go
      if (this.failure !== undefined) throw this.failure
      await this.#inner.write(rows, meta)
    },
  }
}

function rig(rowsInMemory: number, isWhole = true) {
  const gate = new Gate()
  const limits = { viewRowsMax: 1e6, viewBytesMax: rowsInMemory * ROW_BYTES, recentRowsMax: 8 }
  const copy = new ViewCopy({ view: 'v', topic: 't', topicId: 'id', format: 'json' }, gate.backend)
  const counts = pushMetrics(undefined).ofView('v').copy
  const rows = new CopiedRows({ view: 'v', copy, limits, size: 0, allBytes: 0, storedSequence: 0, onRead: () => {} })
  const store = new ViewStore('v', [0], limits, rows)
  rows.forgetSome = (sequence) => store.forgetSome(sequence)
  const logged: string[] = []
  const log = createLog({ level: 'info', format: 'json', isTerminal: false, write: (line) => logged.push(line) })
  const clock = new VirtualTime(1_750_000_000_000)
  const { viewBytesMax } = limits
  const keeper = new CopyKeeper({
    view: 'v',
    store,
    rows,
    copy,
    viewBytesMax,
    openedMs: 0,
    wholeMs: 0,
    clock,
    log,
    counts,
  })
  if (isWhole) keeper.reachedEnd(0, clock.wallMs())
  const failures: string[] = []
  keeper.onFailed = ({ code }) => void failures.push(code)
  let offset = 0
  const put = (key: number): void => {
    const name = `K${String(key).padStart(3, '0')}`
    store.apply({ partition: 0, offset: offset++, timestampMs: 0, key: name, json: JSON.stringify('x'.repeat(98)) })
  }
  return { gate, store, rows, keeper, clock, logged, failures, put }
}

it('a write that fails while all rows are in memory leaves the view as it is, says so, and memory is its limit from then on', async () => {
  const { gate, store, keeper, clock, logged, failures, put } = rig(10)
  put(1)
  store.publish()
  await clock.pass(1_000)
  await keeper.turn()
  put(2)
  store.publish()
  gate.failure = new Error('ENOSPC')
  await clock.pass(1_000)
  await keeper.turn()
  await clock.settle()
  expect(failures).toEqual([])
  expect(logged.join()).toContain('MR7034')
  expect(logged.join()).toContain('ENOSPC')
  put(3)
  expect([...store.rows.keys()]).toEqual(['K001', 'K002', 'K003'])
  expect(store.order.from('K002', 10)).toEqual(['K002', 'K003'])
  const writes = gate.writes
  await clock.pass(10_000)
  await keeper.turn()
  expect(gate.writes).toBe(writes)
  for (let key = 4; key <= 10; key++) put(key)
  expect(() => put(11)).toThrow('MR7003')
  await keeper.close()
})

it('a write that fails while rows are on disk alone ends the view', async () => {
  const { gate, store, rows, keeper, clock, logged, failures, put } = rig(10)
  for (let key = 0; key < 30; key++) {
    put(key)
    store.publish()
    await clock.pass(1_000)
    await keeper.turn()
    await clock.settle()
  }
  expect(rows.bytes).toBeLessThanOrEqual(10 * ROW_BYTES)
  expect(store.rows.size).toBe(30)
  gate.failure = new Error('EIO')
  put(31)
  store.publish()
  await clock.pass(1_000)
  await keeper.turn()
  await clock.settle()
  expect(failures).toEqual(['MR7033'])
  expect(logged.join()).not.toContain('MR7034')
  await keeper.close()
})

it('reading waits for a write that is slower than the topic', async () => {
  const { gate, store, rows, keeper, clock, put } = rig(16)
  let open = (): void => {}
  gate.go = new Promise((resolve) => (open = resolve))
  // A quarter of the memory may wait for its write.
  for (let key = 0; key < 5; key++) put(key)
  store.publish()
  await keeper.turn()
  expect(gate.writes).toBe(1)
  for (let key = 5; key < 10; key++) put(key)
  store.publish()
  let hasTurned = false
  const turn = keeper.turn().then(() => (hasTurned = true))
  await clock.settle()
  expect([hasTurned, gate.writes]).toEqual([false, 1])
  open()
  await turn
  expect(gate.writes).toBe(2)
  await clock.settle()
  expect(rows.changedBytes).toBe(0)
  await keeper.close()
})

it('what is written is as old as a second at most while there is something new, and nothing is written while there is not', async () => {
  const { gate, store, keeper, clock, put } = rig(100)
  put(1)
  store.publish()
  await keeper.turn()
  expect(gate.writes).toBe(0)
  await clock.pass(1_000)
  await keeper.turn()
  await clock.settle()
  expect(gate.writes).toBe(1)
  await clock.pass(120_000)
  await keeper.turn()
  expect(gate.writes).toBe(1)
  // That nothing was missing is news of its own, but not each second.
  keeper.reachedEnd(0, clock.wallMs())
  await keeper.turn()
  await clock.settle()
  expect(gate.writes).toBe(2)
  await clock.pass(10_000)
  keeper.reachedEnd(0, clock.wallMs())
  await keeper.turn()
  expect(gate.writes).toBe(2)
  await keeper.close()
  expect(gate.writes).toBe(3)
})

it('before all of the topic was read only a lot is written', async () => {
  const { gate, store, keeper, clock, put } = rig(16, false)
  for (let key = 0; key < 4; key++) put(key)
  store.publish()
  await clock.pass(10_000)
  await keeper.turn()
  expect(gate.writes).toBe(0)
  put(4)
  store.publish()
  await keeper.turn()
  expect(gate.writes).toBe(1)
  await keeper.close()
})
