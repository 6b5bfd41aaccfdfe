// A run of one Nexmark query: its job on a lane over packed frames of events, each of its rows against the oracle. Main thread.
import { pack, unpack } from 'msgpackr'
import type { SideRow } from '../../examples/nexmark/generator.ts'
import { canonical, type Row } from '../../examples/nexmark/oracles/oracle.ts'
import type { Query } from '../../examples/nexmark/queries.ts'
import { type FrameView, FrameWriter } from '../../src/core/frame.ts'
import { type EventFrames, FRAME_EVENTS } from './event-frames.ts'
import { JobLane } from './job-lane.ts'
import { RowBalance } from './row-balance.ts'

/** For windows by processing time: so long is a frame by the clock of the run. */
const FRAME_MS = 250
const EXAMPLES_TOLD = 5
const textDecoder = new TextDecoder()

export interface QueryRun {
  recordsPerSecond: number
  cpuMicrosPerRecord: number
  /** Rows that the job wrote; of a result that changes, one for each change. */
  rows: number
  correct: boolean
  /** Rows that differ, a few of them. */
  differences: string[]
}

/** Runs a query over all events. Making frames, reading rows and the oracle are not timed. */
export async function runQuery(
  { job, topic, oracle, side, isRetracted = false }: Query,
  frames: EventFrames,
): Promise<QueryRun> {
  const { events } = frames
  const readMs = (place: number): number => Math.floor(place / FRAME_EVENTS) * FRAME_MS
  const expected = oracle(events, readMs)[Symbol.iterator]()
  const balance = new RowBalance()
  let [rows, nowMs] = [0, 0]
  const expectNext = (): boolean => {
    const next = expected.next()
    if (next.done !== true) balance.expected(canonical(next.value))
    return next.done !== true
  }
  const onRow = (of: string, view: FrameView, at: number): void => {
    if (of !== topic) throw new Error(`the job wrote to ${of}`)
    rows++
    const phase = phaseOf(view, at)
    if (phase === 'early' && !isRetracted) return
    const text = canonical(unpack(view.value(at)!) as Row)
    if (phase === 'retracted') balance.expected(text)
    else balance.given(text)
    if (isRetracted) return
    // In step: where both have the same order, hardly a row is kept.
    expectNext()
  }
  const lane = await JobLane.open({ job: job.build(), nowMs: () => nowMs, onRow })
  if (side !== undefined) await lane.take(sideFrame(side.rows), side.topic)
  for (let index = 0; index < frames.count; index++) {
    nowMs = readMs(index * FRAME_EVENTS)
    await lane.take(frames.at(index))
  }
  await lane.end()
  while (expectNext());
  return {
    recordsPerSecond: Math.round((events.count * 1_000) / lane.elapsedMs),
    cpuMicrosPerRecord: lane.cpuMicros / events.count,
    rows,
    correct: balance.isEven,
    differences: balance.examples(EXAMPLES_TOLD),
  }
}

/** `early`: a later row of the same result follows. */
function phaseOf(view: FrameView, at: number): string | undefined {
  const header = view.headers(at).find(({ name }) => name === 'millrace-phase')
  return header?.value === undefined ? undefined : textDecoder.decode(header.value)
}

function sideFrame(rows: readonly SideRow[]): ArrayBuffer {
  const writer = new FrameWriter(1 << 20)
  for (const [i, row] of rows.entries()) writer.appendSource(i, 0, Buffer.from(String(row.key)), pack(row))
  return writer.take(0, rows.length, rows.length)!
}
