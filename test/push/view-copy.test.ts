// Servers whose views have a copy on disk: what a restart reads, where clients go on, memory, damage. Holds SPEC: PUSH-3, PUSH-12, PUSH-24,
// PUSH-40, PUSH-41, PUSH-42.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { Registry } from '../../src/ops/metrics.ts'
import { systemClock } from '../../src/ops/system-clock.ts'
import type { PushOptions } from '../../src/push/server.ts'
import { eventually, heldRows, type Rig, startRig, TOPIC, Watcher } from './push-fixture.ts'

/** What a large view may take on a busy machine. */
const LARGE_MS_MAX = 60_000

let dir: string
let kafka: MemoryKafka
const rigs: Rig[] = []
const watchers: Watcher[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-view-copy-'))
  kafka = createMemoryKafka({ topics: { [TOPIC]: { partitionCount: 2, config: {} } } })
})
afterEach(async () => {
  for (const watcher of watchers.splice(0)) watcher.socket.close()
  for (const rig of rigs.splice(0)) await rig.push.close()
  rmSync(dir, { recursive: true })
})

async function start(options: Partial<PushOptions> = {}): Promise<Rig> {
  const rig = await startRig({ copyDir: dir, ...options, metrics: new Registry({ nowMs: () => 0 }) }, 2, kafka)
  rigs.push(rig)
  await eventually(() => rig.push.isReady())
  return rig
}

async function stop(rig: Rig): Promise<void> {
  rigs.splice(rigs.indexOf(rig), 1)
  await rig.push.close()
}

function watch(rig: Rig, resume?: string): Watcher {
  const watcher = new Watcher(rig.wsUrl, 'candles', resume === undefined ? {} : { resume })
  watchers.push(watcher)
  return watcher
}

function put(key: string, row: unknown): void {
  kafka.append(TOPIC, { key, value: row === undefined ? undefined : JSON.stringify(row) })
}

const get = (rig: Rig, path: string): Promise<Response> => fetch(`${rig.push.urls.views}${path}`)
const read = (rig: Rig): number => rig.metrics.total('millrace_push_rows_read_total')

/** All rows by plain reads, page after page. */
async function allRows(rig: Rig): Promise<[string, unknown][]> {
  const found: [string, unknown][] = []
  for (let from: string | undefined = ''; from !== undefined; ) {
    const page = (await (await get(rig, `/candles?limit=10000&from=${encodeURIComponent(from)}`)).json()) as {
      rows: { key: string; row: unknown }[]
      next?: string
    }
    for (const { key, row } of page.rows) found.push([key, row])
    from = page.next
  }
  return found
}

describe('a restart', () => {
  it('reads what came since alone, and clients go on at their positions of before, removals too', async () => {
    for (let i = 0; i < 100; i++) put(`K${i}`, { n: 0 })
    const first = await start()
    expect(read(first)).toBe(100)
    const early = watch(first)
    await early.until(() => early.isLoaded)
    const { position } = early
    const held = heldRows(early.messages)
    put('K1', { n: 1 })
    put('K2', undefined)
    await early.until(() => early.latest('K2') === null)
    await stop(first)
    put('K3', { n: 3 })
    put('K4', undefined)
    const second = await start()
    expect(read(second)).toBe(2)
    expect(second.logged.join()).toContain('"rows":99,"records":2,"msg":"the view goes on from its copy')
    const late = watch(second, position)
    await late.until(() => late.latest('K4') === null)
    expect(late.messages.map(({ type }) => type)).not.toContain('reset')
    for (const [key, row] of heldRows(late.messages)) held.set(key, row)
    for (const { key, row } of late.rows) if (row === null) held.delete(key)
    expect([...held].sort()).toEqual((await allRows(second)).sort())
    expect(held.size).toBe(98)
    expect(held.get('K1')).toEqual({ n: 1 })
    expect(((await (await get(second, '')).json()) as { views: unknown[] }).views).toMatchObject([{ rows: 98 }])
  })

  it('knows of rows in its copy whether their window is closed', async () => {
    const phase = (text: string) => [{ name: 'millrace-phase', value: new TextEncoder().encode(text) }]
    kafka.append(TOPIC, { key: 'closed', value: '{"n":1}', headers: phase('final') })
    kafka.append(TOPIC, { key: 'open', value: '{"n":1}', headers: phase('update') })
    await stop(await start())
    const rig = await start()
    expect(read(rig)).toBe(0)
    expect(await (await get(rig, '/candles/closed')).json()).toMatchObject({ isFinal: true })
    expect(await (await get(rig, '/candles/open')).json()).not.toHaveProperty('isFinal')
  })

  it('answers a position of before what is remembered with a reset', async () => {
    for (let i = 0; i < 20; i++) put(`K${i}`, { n: 0 })
    const limits = { recentRowsMax: 8 }
    const first = await start({ limits })
    const early = watch(first)
    await early.until(() => early.isLoaded)
    for (let i = 0; i < 20; i++) put(`K${i}`, undefined)
    await early.until(() => heldRows(early.messages).size === 0)
    await stop(first)
    const second = await start({ limits })
    const late = watch(second, early.position)
    const tooLate = watch(second, early.messages.find((message) => message.type === 'snapshot')!.position)
    put('K5', { n: 5 })
    await late.until(() => late.latest('K5') !== undefined)
    await tooLate.until(() => tooLate.isLoaded)
    expect(late.messages.map(({ type }) => type)).toEqual(['update'])
    expect(tooLate.messages[0]).toMatchObject({ type: 'reset', reason: 'forgotten' })
    expect(read(second)).toBe(1)
  })

  it('builds the copy of a topic that was made anew from its start, and says why', async () => {
    put('old', { n: 1 })
    const first = await start()
    await stop(first)
    const admin = await kafka.openAdmin()
    await admin.delete([TOPIC], 1_000)
    await admin.create([{ name: TOPIC, partitionCount: 2, replicationFactor: 1, config: {} }], 1_000)
    put('new', { n: 2 })
    const second = await start()
    expect(await allRows(second)).toEqual([['new', { n: 2 }]])
    expect(second.logged.join()).toContain('its topicId is')
  })

  it('after more than half of the time that the topic keeps removals reads all of it', async () => {
    kafka.append(TOPIC, { key: 'first', value: '{"n":1}', partition: 0 })
    kafka.append(TOPIC, { key: 'gone', value: '{"n":1}', partition: 0 })
    kafka.append(TOPIC, { key: 'here', value: '{"n":1}', partition: 1 })
    const first = await start()
    await stop(first)
    // The same topic as compaction leaves it: neither the row nor its removal, which was at offset 2.
    kafka = createMemoryKafka({ topics: { [TOPIC]: { partitionCount: 2, config: {} } } })
    kafka.append(TOPIC, { key: 'first', value: '{"n":1}', partition: 0 })
    kafka.append(TOPIC, { key: 'other', value: '{"n":2}', partition: 0, offset: 3 })
    kafka.append(TOPIC, { key: 'here', value: '{"n":1}', partition: 1 })
    const later = { ...systemClock, wallMs: () => systemClock.wallMs() + 12 * 3_600_000 + 1_000 }
    const second = await start({ clock: later })
    expect((await allRows(second)).map(([key]) => key)).toEqual(['first', 'here', 'other'])
    expect(second.logged.join()).toContain('it was whole')
  })

  it('has views of one topic each where its copy ended', async () => {
    put('A', { n: 1 })
    const one = { name: 'candles', topic: TOPIC }
    const first = await start({ views: [one] })
    await stop(first)
    put('B', { n: 2 })
    const second = await start({ views: [one, { name: 'more/candles', topic: TOPIC }] })
    const metrics = second.metrics.text()
    expect(metrics).toContain('millrace_push_rows_read_total{view="candles"} 1\n')
    expect(metrics).toContain('millrace_push_rows_read_total{view="more/candles"} 2\n')
    expect(await allRows(second)).toEqual([
      ['A', { n: 1 }],
      ['B', { n: 2 }],
    ])
  })
})

describe('a view with history', () => {
  it('has no copy and is read from its start, and one without beside it goes on from its copy', async () => {
    const views = [
      { name: 'candles', topic: TOPIC, history: true },
      { name: 'records', topic: TOPIC },
    ]
    put('A:1000', { n: 1 })
    put('A:2000', { n: 2 })
    const first = await start({ views })
    expect(first.logged.join()).toContain('"view":"candles","msg":"the view has history, so it has no copy')
    await stop(first)
    expect(readdirSync(dir).filter((name) => name.startsWith('view-'))).toEqual(['view-records'])
    put('A:3000', { n: 3 })
    put('B:1000', { n: 4 })
    const second = await start({ views })
    const metrics = second.metrics.text()
    expect(metrics).toContain('millrace_push_rows_read_total{view="candles"} 4\n')
    expect(metrics).toContain('millrace_push_rows_read_total{view="records"} 2\n')
    expect(await allRows(second)).toEqual([
      ['A', { n: 3 }],
      ['B', { n: 4 }],
    ])
    const history = await (await get(second, '/candles/A/history')).json()
    expect((history as { rows: { row: unknown }[] }).rows.map(({ row }) => row)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    const records = await (await get(second, '/records')).json()
    expect((records as { rows: { key: string }[] }).rows.map(({ key }) => key)).toEqual([
      ...['A:1000', 'A:2000', 'A:3000', 'B:1000'],
    ])
  })
})

describe('memory', () => {
  it(
    'holds at its limit with a view many times as large, and all rows are served',
    async () => {
      const COUNT = 200_000
      const viewBytesMax = 4 << 20
      for (let i = 0; i < COUNT; i++) put(`K${String(i).padStart(6, '0')}`, { n: i, text: 'some text that a row has' })
      let bytesMax = 0
      const metrics = new Registry({ nowMs: () => 0 })
      const scheduler = {
        after: (ms: number, run: () => void) => {
          bytesMax = Math.max(bytesMax, metrics.total('millrace_push_memory_bytes'))
          const timer = setTimeout(run, ms)
          return () => clearTimeout(timer)
        },
      }
      const rig = await startRig(
        { copyDir: dir, metrics, scheduler, limits: { viewBytesMax, pollBytesMax: 64 << 10 } },
        2,
        kafka,
      )
      rigs.push(rig)
      await eventually(() => {
        bytesMax = Math.max(bytesMax, metrics.total('millrace_push_memory_bytes'))
        return rig.push.isReady()
      }, LARGE_MS_MAX)
      const rows = await allRows(rig)
      expect(rows).toHaveLength(COUNT)
      for (const [i, [key, row]] of rows.entries()) {
        if (key !== `K${String(i).padStart(6, '0')}` || (row as { n: number }).n !== i)
          throw new Error(`${key} at ${i}`)
      }
      const watcher = watch(rig)
      await watcher.until(() => watcher.isLoaded, LARGE_MS_MAX)
      expect(heldRows(watcher.messages).size).toBe(COUNT)
      put('K000007', { n: -1 })
      put('K000008', undefined)
      await watcher.until(
        () => watcher.latest('K000008') === null && (watcher.latest('K000007') as { n: number }).n === -1,
      )
      expect(await (await get(rig, '/candles/K000009')).json()).toMatchObject({ row: { n: 9 } })
      expect(bytesMax).toBeGreaterThan(viewBytesMax / 2)
      expect(bytesMax).toBeLessThanOrEqual(viewBytesMax)
      expect(metrics.total('millrace_push_memory_bytes')).toBeLessThanOrEqual(viewBytesMax)
      expect(metrics.total('millrace_push_copy_rows_written_total')).toBeGreaterThanOrEqual(COUNT)
    },
    3 * LARGE_MS_MAX,
  )

  it('is filled from the copy after a restart where there is room for all rows', async () => {
    for (let i = 0; i < 500; i++) put(`K${i}`, { n: i })
    const limits = { recentRowsMax: 8 }
    await stop(await start({ limits }))
    const rig = await start({ limits })
    // 500 rows of about 180 bytes; the ring alone has 8.
    put('K1', { n: -1 })
    await eventually(() => rig.metrics.total('millrace_push_memory_bytes') > 80_000)
    await get(rig, '/candles/K77')
    expect(rig.metrics.total('millrace_push_copy_rows_read_total')).toBeLessThan(2)
  })
})

describe('the folder', () => {
  it('is of one process', async () => {
    await start()
    await expect(start()).rejects.toMatchObject({ code: 'MR7030', details: { folder: dir, pid: String(process.pid) } })
  })

  it('that cannot be used is an error, not a view without a copy', async () => {
    writeFileSync(join(dir, 'file'), '')
    await expect(start({ copyDir: join(dir, 'file') })).rejects.toMatchObject({ code: 'MR7031' })
    const rig = await start()
    expect(rig.push.isReady()).toBe(true)
  })

  it('is free again after a start that failed', async () => {
    await expect(start({ views: [{ name: 'candles', topic: 'none' }] })).rejects.toMatchObject({ code: 'MR4002' })
    const taken = await start({ copyDir: undefined })
    await expect(start({ port: taken.push.port })).rejects.toMatchObject({ code: 'MR7005' })
    await start()
  })

  it('with a row that is damaged ends the view instead of showing it, and the next start builds the copy anew', async () => {
    for (let i = 0; i < 100; i++) put(`K${i}`, { text: `text-${i}-` })
    await stop(await start())
    const file = join(dir, 'view-candles', 'data.mdb')
    const bytes = readFileSync(file)
    const at = bytes.indexOf('text-42-')
    bytes[at + 5] = 0x39
    writeFileSync(file, bytes)
    // Not in the memory of changes, which are read and checked at the start.
    const limits = { recentRowsMax: 1, viewRowsMax: 10 }
    const rig = await start({ limits })
    const watcher = watch(rig)
    await watcher.until(() => watcher.messages.some(({ type }) => type === 'error'))
    expect(watcher.messages.at(-1)).toMatchObject({ type: 'error', code: 'MR7032' })
    expect(watcher.messages.some((message) => message.type === 'snapshot' && message.isLast)).toBe(false)
    expect((await get(rig, '/candles')).status).toBe(503)
    await stop(rig)
    const again = await start()
    expect(again.logged.join()).toContain('the copy of the view is not used')
    expect(await allRows(again)).toHaveLength(100)
  })
})
