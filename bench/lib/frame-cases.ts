// Micro benches of the packed frame: writing trades into it and reading it, against an array of objects.
import assert from 'node:assert/strict'
import { TRADE_VALUE_BYTES, type TradeStream, tradeStream } from '../../src/cli/trades.ts'
import { FrameView, FrameWriter, type SinkRecord, sinkRecords } from '../../src/core/frame.ts'
import type { MicroCase } from './micro-case.ts'

export const MICRO_START_MS = 1_760_000_000_000

export function microTrades(count: number): TradeStream {
  return tradeStream({ seed: 1, count, startMs: MICRO_START_MS })
}

/** A sink frame of the first trades. */
export function tradeFrame(count: number): ArrayBuffer {
  const writer = new FrameWriter(1 << 20)
  microTrades(count).fill(writer, 0, 0, count)
  return writer.take()!
}

/** Writes frames, walks them, and decodes them into objects: the walk's baseline. */
export function frameCases(recordCount = 10_000): MicroCase[] {
  const trades = microTrades(recordCount)
  const writer = new FrameWriter(1 << 20)
  const source = tradeFrame(recordCount)
  const bytesOfAll = recordCount * TRADE_VALUE_BYTES
  let written: ArrayBuffer | undefined
  let decoded: SinkRecord[] = []
  let walkedBytes = 0
  return [
    {
      name: 'frame: write trades',
      recordsPerRun: recordCount,
      run() {
        trades.fill(writer, 0, 0, recordCount)
        written = writer.take()
      },
      check: () => assert.deepEqual(new Uint8Array(written!), new Uint8Array(source)),
    },
    {
      name: 'frame: decode to objects',
      recordsPerRun: recordCount,
      run() {
        decoded = sinkRecords(source)
      },
      check: () =>
        assert.equal(
          decoded.reduce((sum, { value }) => sum + value!.length, 0),
          bytesOfAll,
        ),
    },
    {
      name: 'frame: walk in place',
      baseline: 'frame: decode to objects',
      recordsPerRun: recordCount,
      run() {
        walkedBytes = valueBytes(new FrameView(source))
      },
      check: () => assert.equal(walkedBytes, bytesOfAll),
    },
  ]
}

function valueBytes(view: FrameView): number {
  let bytes = 0
  for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) bytes += view.valueBytes(at)
  return bytes
}
