// The kinds of windows that are compared, and a run of one: a lane of its own reads trades as a job would, sealed and flushed
// as often. Main thread.
import { unpack } from 'msgpackr'
import { type TradeStream, tradeStream } from '../../src/cli/trades.ts'
import { FrameWriter, sinkRecords } from '../../src/core/frame.ts'
import type { LaneLimits, LaneProcessed } from '../../src/core/message.ts'
import {
  calendar,
  count,
  countWindow,
  globalWindow,
  hopping,
  job,
  kafka,
  last as lastOf,
  max,
  min,
  msgpack,
  session,
  sliding,
  sum,
  tumbling,
  type WindowSpec,
} from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { Lane } from '../../src/lane/lane.ts'

export interface WindowCase {
  name: string
  window: WindowSpec
  /** How many records the rows hold, each as often as it is in a window. */
  taken(load: WindowLoad): number
  /** At most so many times the cost of the first case. */
  target?: number
}

/** The first is what the others are compared with. */
export function windowCases(): WindowCase[] {
  return [
    { name: 'tumbling 1 s', window: tumbling('1s'), taken: ({ records }) => records },
    { name: 'hopping 60 s by 1 s', window: hopping('60s', '1s'), taken: ({ records }) => records * 60, target: 2 },
    // Its day ends five seconds into the load: around it records go back and forth between two windows.
    {
      name: 'day of Europe/Berlin',
      window: calendar('day', { timeZone: 'Europe/Berlin', offset: '3605s' }),
      taken: ({ records }) => records,
      target: 1.2,
    },
    { name: 'count of 100', window: countWindow(100), taken: ({ records }) => records, target: 3 },
    { name: 'global', window: globalWindow(), taken: ({ records }) => records, target: 2 },
    { name: 'session of 1 s', window: session('1s'), taken: ({ records }) => records, target: 3 },
    { name: 'sliding of 1 s', window: sliding('1s'), taken: (load) => slidingTaken(load, 1_000) },
  ]
}

export interface WindowLoad {
  records: number
  keys: number
  rate: number
}

export interface WindowRun {
  nanosPerRecord: number
  rows: number
  /** Records that the rows hold, each as often as it is in a window, and how many there must be. */
  taken: number
  expected: number
  isCorrect: boolean
}

const FRAME_RECORDS = 5_000
const FRAMES_PER_SEAL = 5
const SEALS_PER_FLUSH = 10
const LIMITS: LaneLimits = {
  stateMemoryBytesMax: 512 << 20,
  unflushedBytesMax: 64 << 20,
  valueBytesMax: 1 << 20,
  keyBytesMax: 1024,
  decodeDepthMax: 32,
  decodeNodesMax: 100_000,
}
const TASK = { taskId: '0_0', attempt: 0 }

interface Trade {
  sym: string
  price: number
  qty: number
  ts: number
}

function jobOf(window: WindowSpec): CompiledJob {
  return job('windows')
    .from(kafka('trades', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', outOfOrder: '500ms' }))
    .keyBy('sym')
    .window('w', window)
    .aggregate({ high: max('price'), low: min('price'), close: lastOf('price'), volume: sum('qty'), n: count() })
    .to(kafka('out', { value: msgpack() }))
    .build()
}

/** Runs one case over the load. Making frames, and reading rows back, is not timed. */
export async function runWindowCase({ window, taken }: WindowCase, load: WindowLoad): Promise<WindowRun> {
  const setup = { lane: 0, jobUrl: '', stateDir: undefined, instanceId: 'bench', limits: LIMITS }
  const lane = new Lane(
    jobOf(window),
    { ...setup, messageBytesMax: [], writtenPartitions: [], partitionCounts: [1] },
    { nowMs: () => 0 },
  )
  await lane.handle({ op: 'open', sub: 0, ...TASK, partition: 0, changelogTopicId: undefined, changelogLow: 0 })
  await lane.handle({ op: 'ready', ...TASK, position: undefined, inputOffset: 0 })
  const { records } = load
  const trades = tradesOf(load)
  const seen = { rows: 0, taken: 0 }
  let micros = 0
  let epoch = 0
  for (let from = 0; from < records; from += FRAME_RECORDS) {
    const frame = frameOf(trades, from, Math.min(records, from + FRAME_RECORDS))
    epoch++
    const before = process.cpuUsage()
    const answer = lane.handle({ op: 'frame', ...TASK, epoch, frame })
    if (epoch % FRAMES_PER_SEAL === 0) await commit(lane, epoch)
    micros += cpuMicrosSince(before)
    look(answer, seen)
  }
  const before = process.cpuUsage()
  const last = lane.handle({ op: 'end', ...TASK, epoch })
  micros += cpuMicrosSince(before)
  look(last, seen)
  const expected = taken(load)
  return { nanosPerRecord: (micros * 1_000) / records, ...seen, expected, isCorrect: seen.taken === expected }
}

function tradesOf({ records, keys, rate }: WindowLoad): TradeStream {
  return tradeStream({ seed: 1, count: records, startMs: 0, keyCount: keys, recordsPerEventSecond: rate })
}

/** Of each symbol the windows that end with a trade or begin right after one, and how many trades each of them holds. */
function slidingTaken(load: WindowLoad, sizeMs: number): number {
  const trades = tradesOf(load)
  const bySymbol = new Map<string, number[]>()
  for (let i = 0; i < load.records; i++) {
    const { sym, ts } = trades.next(i)
    const times = bySymbol.get(sym)
    if (times === undefined) bySymbol.set(sym, [ts])
    else times.push(ts)
  }
  let taken = 0
  for (const list of bySymbol.values()) {
    const times = Float64Array.from(list).sort()
    const ends = new Set([...times, ...times.map((ts) => ts + 1 + sizeMs)])
    let [from, to] = [0, 0]
    for (const endMs of Float64Array.from(ends).sort()) {
      while (to < times.length && times[to]! <= endMs) to++
      while (from < to && times[from]! < endMs - sizeMs) from++
      taken += to - from
    }
  }
  return taken
}

/** CPU rather than time: what else runs on the machine takes less of it away. */
function cpuMicrosSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return user + system
}

async function commit(lane: Lane, epoch: number): Promise<void> {
  lane.handle({ op: 'seal', epoch, attempt: 0 })
  lane.handle({ op: 'committed', epoch, attempt: 0 })
  if (epoch % (FRAMES_PER_SEAL * SEALS_PER_FLUSH) !== 0) return
  await lane.handle({ op: 'flush', ...TASK, changelogOffset: 0, changelogTopicId: undefined })
}

function frameOf(trades: TradeStream, from: number, to: number): ArrayBuffer {
  const writer = new FrameWriter(1 << 20)
  trades.fill(writer, 0, from, to)
  const source = new FrameWriter(1 << 20)
  let offset = from
  for (const { key, value } of sinkRecords(writer.take()!)) source.appendSource(offset++, 0, key, value)
  return source.take(0, to, to)!
}

function look(answer: unknown, seen: { rows: number; taken: number }): void {
  const processed = answer as LaneProcessed
  if (processed.op !== 'frame' && processed.op !== 'end') throw new Error(JSON.stringify(answer))
  if (processed.out === undefined) return
  for (const { value } of sinkRecords(processed.out)) {
    seen.rows++
    seen.taken += (unpack(value!) as { n: number }).n
  }
}
