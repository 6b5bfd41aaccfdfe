// `npm run bench:view-restart`: how long a server of a view takes to be ready. From the topic, in memory alone and while it makes its copy on
// disk; then from the copy and the records that came since, after a clean stop and after a kill -9. All rows are compared after each
// start. Main thread; each server is a process of its own, one after the other.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { FrameWriter } from '../src/core/frame.ts'
import { packageRoot } from '../src/ops/package-root.ts'
import { readNumbers } from './lib/arguments.ts'
import { type Child, resultOf, startChild } from './lib/child.ts'
import { type Cluster, onCluster } from './lib/cluster.ts'
import { freePort, untilReady } from './lib/job-process.ts'
import { readingKey } from './lib/readings.ts'
import { report, rounded, runBench, tell } from './lib/report.ts'
import { openLoader } from './lib/trade-load.ts'

const OPTIONS = {
  rows: { default: 1_000_000, min: 1 },
  partitions: { default: 4, min: 1 },
  /** Records that come while no server runs. */
  tail: { default: 1_000, min: 0 },
} as const
type Options = Record<keyof typeof OPTIONS, number>

const READY_MS_MAX = 500_000
const FLUSH_MS = 120_000
const FRAME_RECORDS = 10_000
const PAGE_ROWS = 10_000
const encoder = new TextEncoder()

interface Start {
  readyMs: number
  rowsRead: number
  rows: number
  digest: string
  rssBytesMax: number
}

interface Server {
  child: Child
  readyMs: number
  pushUrl: string
}

await runBench(async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS)
  report(await onCluster((cluster, folder) => measure(cluster, options, folder)))
})

async function measure(cluster: Cluster, options: Options, folder: string) {
  const { rows, partitions, tail } = options
  const topic = cluster.name('prices')
  await cluster.createTopic(topic, partitions)
  tell(`writing ${rows} rows in ${partitions} partitions`)
  await load(cluster, topic, rows, 0)
  const copy = ['--push-dir', join(folder, 'views')]
  const start = async (name: string, flags: readonly string[]): Promise<Start> => {
    const found = await stopped(await started(cluster, topic, flags))
    tell(
      `${name}: ready after ${rounded(found.readyMs / 1_000, 2)} s, ${found.rowsRead} records read, ${Math.round(found.rssBytesMax / 1e6)} MB`,
    )
    return found
  }
  const fromTopic = await start('from the topic', [])
  const making = await start('from the topic, making the copy', copy)
  await load(cluster, topic, tail, 1)
  const fromCopy = await start('from the copy', copy)
  await killed(await started(cluster, topic, copy))
  await load(cluster, topic, tail, 2)
  const afterKill = await start('from the copy, after a kill', copy)
  const expected = await start('from the topic, in the end', [])
  const starts = [fromTopic, making, fromCopy, afterKill, expected]
  const isRight =
    starts.every((one) => one.rows === rows) &&
    fromTopic.digest === making.digest &&
    afterKill.digest === expected.digest &&
    fromTopic.rowsRead === rows &&
    fromCopy.rowsRead === tail &&
    afterKill.rowsRead === tail
  return {
    command: 'bench:view-restart',
    correct: isRight,
    ...options,
    topicReadyMs: Math.round(fromTopic.readyMs),
    makingReadyMs: Math.round(making.readyMs),
    copyReadyMs: Math.round(fromCopy.readyMs),
    killReadyMs: Math.round(afterKill.readyMs),
    /** How many times as fast as from the topic. */
    copyFactor: rounded(fromTopic.readyMs / fromCopy.readyMs, 1),
    killFactor: rounded(fromTopic.readyMs / afterKill.readyMs, 1),
    copyRowsRead: fromCopy.rowsRead,
    killRowsRead: afterKill.rowsRead,
    rssBytesMax: Math.max(...starts.map((one) => one.rssBytesMax)),
  }
}

/** Rows 0 to `count` as of a round. */
async function load(cluster: Cluster, topic: string, count: number, round: number): Promise<void> {
  const producer = await openLoader(cluster.kafka)
  try {
    const writer = new FrameWriter(1 << 21)
    for (let i = 0; i < count; i++) {
      const row = JSON.stringify({ round, price: 100 + (i % 997) / 8, volume: i % 1_000 })
      writer.append(0, -1, 1_760_000_000_000 + round, encoder.encode(readingKey(i)), encoder.encode(row))
      if (writer.recordCount < FRAME_RECORDS && i < count - 1) continue
      await producer.produce(writer.take()!, [topic])
    }
    await producer.flush(FLUSH_MS)
  } finally {
    await producer.close()
  }
}

async function started(cluster: Cluster, topic: string, flags: readonly string[]): Promise<Server> {
  const [httpPort, pushPort] = [await freePort(), await freePort()]
  const ports = ['--http-port', `${httpPort}`, '--push-port', `${pushPort}`]
  const own = ['serve', '--view', `prices=${topic}`, '--brokers', cluster.brokers, ...ports]
  const more = ['--log-level', process.env.BENCH_LOG ?? 'warn', '--push-view-rows-max', '100000000', '--json']
  const child = startChild([join(packageRoot(), 'bin', 'millrace.cjs'), ...own, ...more, ...flags], {
    showsErrors: false,
  })
  await untilReady(child, httpPort, READY_MS_MAX)
  const readyMs = performance.now() - child.startedMs
  return { child, readyMs, pushUrl: `http://127.0.0.1:${pushPort}` }
}

/** Reads all of its rows, then stops it. */
async function stopped({ child, readyMs, pushUrl }: Server): Promise<Start> {
  const { rows, digest } = await digestOf(pushUrl)
  child.kill('SIGTERM')
  const { rowsRead, rssBytesMax } = await resultOf<{ rowsRead: number; rssBytesMax: number }>('millrace serve', child)
  return { readyMs, rowsRead, rows, digest, rssBytesMax }
}

async function killed({ child }: Server): Promise<void> {
  child.kill('SIGKILL')
  await child.end
}

/** Of all rows in the order of their keys. */
async function digestOf(pushUrl: string): Promise<{ rows: number; digest: string }> {
  const hash = createHash('sha256')
  let rows = 0
  for (let from: string | undefined = ''; from !== undefined; ) {
    const path: string = `/views/prices?limit=${PAGE_ROWS}&from=${encodeURIComponent(from)}`
    const response = await fetch(`${pushUrl}${path}`)
    if (!response.ok) throw new Error(`${path} was answered with ${response.status}: ${await response.text()}`)
    const page = (await response.json()) as { rows: { key: string; row: unknown }[]; next?: string }
    for (const { key, row } of page.rows) hash.update(`${key} ${JSON.stringify(row)}\n`)
    rows += page.rows.length
    from = page.next
  }
  return { rows, digest: hash.digest('hex') }
}
