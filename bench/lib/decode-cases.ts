// Micro benches of decoding and projecting: the named fields of a trade into columns, against whole objects.
import assert from 'node:assert/strict'
import { unpack } from 'msgpackr'
import type { Trade } from '../../src/cli/trades.ts'
import { MsgpackGuard } from '../../src/codec/msgpack-guard.ts'
import { MsgpackScanner } from '../../src/codec/msgpack-scan.ts'
import { Columns } from '../../src/core/columns.ts'
import { FrameView } from '../../src/core/frame.ts'
import { STATUS_OK } from '../../src/core/record-status.ts'
import { microTrades, tradeFrame } from './frame-cases.ts'
import type { MicroCase } from './micro-case.ts'

/** What candles read of a trade. */
const FIELDS = ['sym', 'price', 'qty', 'ts']
const PRICE = 1
const QTY = 2
const CHUNK_RECORDS = 1_000

/** Reads price and quantity of every trade: msgpackr into objects, then the scanner into columns. */
export function decodeCases(recordCount = 10_000): MicroCase[] {
  const view = new FrameView(tradeFrame(recordCount))
  const volume = tradedVolume(recordCount)
  const scan = newScan(view)
  let answer = 0
  const check = (): void => assert.equal(answer, volume)
  return [
    {
      name: 'decode: msgpackr objects',
      recordsPerRun: recordCount,
      run() {
        answer = decodedVolume(view)
      },
      check,
    },
    {
      name: 'decode: fields into columns',
      baseline: 'decode: msgpackr objects',
      recordsPerRun: recordCount,
      run() {
        answer = scan()
      },
      check,
    },
  ]
}

/** What must come out, from the generator itself. */
function tradedVolume(recordCount: number): number {
  const trades = microTrades(recordCount)
  let volume = 0
  for (let i = 0; i < recordCount; i++) {
    const { price, qty } = trades.next(i)
    volume += price * qty
  }
  return volume
}

function decodedVolume(view: FrameView): number {
  let volume = 0
  for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
    const { price, qty } = unpack(view.value(at)!) as Trade
    volume += price * qty
  }
  return volume
}

function newScan(view: FrameView): () => number {
  const columns = new Columns(FIELDS, CHUNK_RECORDS)
  const scanner = new MsgpackScanner(columns, new MsgpackGuard(32, 100_000))
  const prices = columns.valuesOf(PRICE)
  const quantities = columns.valuesOf(QTY)
  return () => {
    let volume = 0
    let at = view.firstAt
    scanner.begin(view.bytes)
    for (let done = 0; done < view.recordCount; done += CHUNK_RECORDS) {
      const count = Math.min(CHUNK_RECORDS, view.recordCount - done)
      columns.clear(count)
      for (let row = 0; row < count; row++, at = view.nextAt(at)) {
        const start = view.valueStart(at)
        if (scanner.scan(row, start, start + view.valueBytes(at)) !== STATUS_OK) throw new Error(`row ${row} is dead`)
      }
      for (let row = 0; row < count; row++) volume += prices[row]! * quantities[row]!
    }
    return volume
  }
}
