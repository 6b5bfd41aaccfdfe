// Micro benches of a lane: projecting, the window kernel alone, and the whole lane on candles of a trade frame.
import assert from 'node:assert/strict'
import type { Trade } from '../../src/cli/trades.ts'
import { FrameView, sinkRecords } from '../../src/core/frame.ts'
import type { LaneProcessed, LaneSetup } from '../../src/core/message.ts'
import type { CompiledJob, Plan } from '../../src/job/plan.ts'
import { Chunk } from '../../src/lane/chunk.ts'
import { Lane } from '../../src/lane/lane.ts'
import { SourceReader } from '../../src/lane/source-reader.ts'
import { microTrades, tradeFrame } from './frame-cases.ts'
import type { MicroCase } from './micro-case.ts'

const WINDOW_MS = 1_000
/** While input lags, an epoch is 100 ms long: some 100,000 records of a lane; flushes are a second apart. */
const FRAMES_PER_SEAL = 5
const SEALS_PER_FLUSH = 10
const LIMITS: LaneSetup['limits'] = {
  stateMemoryBytesMax: 256 << 20,
  unflushedBytesMax: 64 << 20,
  valueBytesMax: 1 << 20,
  keyBytesMax: 1024,
  decodeDepthMax: 32,
  decodeNodesMax: 100_000,
}

/** The candles job by hand: 1 s OHLCV and VWAP by symbol. */
export function candlesJob(emit: 'final' | 'updates'): CompiledJob {
  const plan: Plan = {
    formatVersion: 1,
    job: 'candles',
    source: {
      topic: 'trades',
      format: 'msgpack',
      shape: 'single',
      keyField: 'sym',
      eventTime: { kind: 'field', field: 'ts' },
      outOfOrderMs: 500,
      maxFutureMs: Number.POSITIVE_INFINITY,
      maxPastMs: undefined,
      idleAfterMs: 10_000,
      closeOnIdle: undefined,
      schemaFn: undefined,
    },
    operators: [
      { kind: 'keyBy', name: 'keyby-sym', field: 'sym' },
      { kind: 'window', name: '1s', window: { kind: 'tumbling', sizeMs: WINDOW_MS, offsetMs: 0, graceMs: 0 } },
      {
        kind: 'aggregate',
        name: '1s-aggregate',
        aggregates: [
          { as: 'open', kind: 'first', fields: ['price'] },
          { as: 'high', kind: 'max', fields: ['price'] },
          { as: 'low', kind: 'min', fields: ['price'] },
          { as: 'close', kind: 'last', fields: ['price'] },
          { as: 'volume', kind: 'sum', fields: ['qty'] },
          { as: 'vwap', kind: 'weightedMean', fields: ['price', 'qty'] },
          { as: 'n', kind: 'count', fields: [] },
        ],
      },
      {
        kind: 'to',
        name: 'to-candles',
        topic: 'candles',
        sink: { format: 'msgpack', keyFn: undefined, headersFn: undefined },
        emit: { kind: emit },
        resultTime: 'end',
      },
    ],
    functionCount: 0,
  }
  return { plan, functions: [] }
}

/** Costs of a lane in ns a record. `projecting` reads and checks; `lane` is everything but Kafka. */
export async function laneCases(recordCount = 20_000): Promise<MicroCase[]> {
  return [
    projectCase(recordCount),
    await laneCase('lane: candles, final rows', 'final', undefined, recordCount),
    await laneCase('lane: candles, a row an update', 'updates', undefined, recordCount),
    await laneCase('lane: candles, every record decoded', 'final', 'free', recordCount),
  ]
}

/** Reading a frame into columns, with event times and keys checked. */
function projectCase(recordCount: number): MicroCase {
  const chunk = new Chunk(['ts', 'sym', 'price', 'qty'])
  const job = candlesJob('final')
  const reader = new SourceReader(job, job.plan.source, LIMITS, chunk, false)
  const view = new FrameView(tradeFrame(recordCount))
  let seen = 0
  return {
    name: 'lane: fields, event time and key',
    recordsPerRun: recordCount,
    run() {
      seen = 0
      reader.begin(view)
      while (reader.fill()) {
        seen += chunk.count
        for (let row = 0; row < chunk.count; row++) if (chunk.status[row] !== 0) throw new Error(`row ${row} is dead`)
      }
    },
    check: () => assert.equal(seen, recordCount),
  }
}

/** A task that reads the same frame again and again: moved on in event time, so that windows close as in a real job. */
async function laneCase(
  name: string,
  emit: 'final' | 'updates',
  path: 'free' | undefined,
  recordCount: number,
): Promise<MicroCase> {
  const setup: LaneSetup = {
    lane: 0,
    jobUrl: '',
    stateDir: undefined,
    instanceId: 'bench',
    limits: LIMITS,
    messageBytesMax: [],
    writtenPartitions: [],
    partitionCounts: [1],
  }
  const options = { nowMs: () => 0, ...(path === undefined ? {} : { path }) }
  const lane = new Lane(candlesJob(emit), setup, options)
  const tradeTimes = new ShiftedFrame(recordCount)
  const task = { taskId: '0_0', attempt: 0 }
  await lane.handle({ op: 'open', sub: 0, ...task, partition: 0, changelogTopicId: undefined, changelogLow: 0 })
  lane.handle({ op: 'ready', ...task, position: undefined, inputOffset: 0 })
  let epoch = 0
  let rowCount = 0
  let accepted = 0
  const answered = (answer: unknown): LaneProcessed => {
    const processed = answer as LaneProcessed
    if (processed.op !== 'frame' && processed.op !== 'end') throw new Error(JSON.stringify(answer))
    accepted += processed.counts.accepted
    rowCount += processed.counts.results
    return processed
  }
  return {
    name,
    recordsPerRun: recordCount,
    async run() {
      epoch++
      answered(lane.handle({ op: 'frame', ...task, epoch, frame: tradeTimes.next() }))
      if (epoch % FRAMES_PER_SEAL !== 0) return
      lane.handle({ op: 'seal', epoch, attempt: 0 })
      lane.handle({ op: 'committed', epoch, attempt: 0 })
      if (epoch % (FRAMES_PER_SEAL * SEALS_PER_FLUSH) !== 0) return
      await lane.handle({ op: 'flush', ...task, attempt: 0, changelogOffset: 0, changelogTopicId: undefined })
    },
    check() {
      const last = answered(lane.handle({ op: 'end', ...task, epoch }))
      assert.equal(accepted, tradeTimes.frameCount * recordCount)
      if (emit === 'final') assert.ok(rowCount > 0 && rowCount < accepted)
      else assert.ok(rowCount > accepted)
      if (last.out !== undefined) assert.ok(sinkRecords(last.out).every((record) => record.value !== undefined))
    },
  }
}

/** One frame of trades whose event times and offsets are moved on each time it is read. */
class ShiftedFrame {
  frameCount = 0
  readonly #frame: ArrayBuffer
  readonly #tsAt: number[] = []
  readonly #ts: number[] = []
  readonly #spanMs: number
  readonly #recordCount: number

  constructor(recordCount: number) {
    this.#frame = tradeFrame(recordCount)
    this.#recordCount = recordCount
    const view = new FrameView(this.#frame)
    const trades = microTrades(recordCount)
    let first = Number.POSITIVE_INFINITY
    let last = 0
    for (let i = 0, at = view.firstAt; i < recordCount; i++, at = view.nextAt(at)) {
      const { ts }: Trade = trades.next(i)
      // The ts field is the float64 at byte 45 of a trade.
      this.#tsAt.push(view.valueStart(at) + 45)
      this.#ts.push(ts)
      first = Math.min(first, ts)
      last = Math.max(last, ts)
    }
    this.#spanMs = last - first + 1
  }

  next(): ArrayBuffer {
    const view = new FrameView(this.#frame)
    const bytes = new DataView(this.#frame)
    const moveMs = this.#spanMs * this.frameCount
    for (let i = 0, at = view.firstAt; i < this.#recordCount; i++, at = view.nextAt(at)) {
      bytes.setFloat64(this.#tsAt[i]!, this.#ts[i]! + moveMs)
      view.doubles[(at >> 3) + 2] = this.frameCount * this.#recordCount + i
    }
    view.doubles[2] = (this.frameCount + 1) * this.#recordCount
    this.frameCount++
    return this.#frame
  }
}
