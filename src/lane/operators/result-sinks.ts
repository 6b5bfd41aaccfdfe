// Result rows of an aggregate operator to its sinks and views: each sink has its own emission, format, key and headers.
// Runs on a lane. Rows that no function of the job touches are written straight into the frame. Hot in update mode.
// Keeps SPEC: R8 (timestamps of rows), R9 (id, rev, phase), ROW-1 (layout of a row), SIZE-1 (sizes before producing).

import { encodeValue } from '../../codec/encode.ts'
import type { RowParts } from '../../codec/encode-row.ts'
import { MillraceError } from '../../core/errors.ts'
import { type CompiledJob, EVERY_INTERVALS_MAX, type OperatorPlan, type PlanTopics } from '../../job/plan.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { FrameRun } from '../frame-run.ts'
import { type Accumulators, type AggregateRows, SLOT_COUNT, SLOT_EVENT_TIME_MAX, SLOT_EVERY } from './accumulators.ts'
import type { DeadLetters } from './dead-letters.ts'
import { HeaderBytes } from './header-bytes.ts'
import type { HistoryRows } from './history-rows.ts'
import { checkRowSize } from './message-size.ts'
import type { OutgoingWindow, ResultRow, RowBounds } from './result-row.ts'
import { type ResultSink, resultSinksOf } from './result-sink.ts'
import { addJobHeaders, applyFunctions, DROPPED, keyBytesOf } from './row-functions.ts'
import { type IdBounds, type Phase, RowHeaders } from './row-headers.ts'
import { RowsChain, type RowsChainOptions } from './rows-chain.ts'
import type { ViewKeep } from './view-keep.ts'

const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** A row's slot has the changed bits of the `every` intervals below this, and its rev above. */
export const EVERY_REV_UNIT = 1 << EVERY_INTERVALS_MAX

export interface ResultSinksOptions {
  job: CompiledJob
  topics: PlanTopics
  messageBytesMax: readonly number[]
  /** Name of the aggregate operator: the first part of a row's id. */
  operator: string
  keyField: string
  isWindowed: boolean
  /** Undefined without a window, and for that of all time. */
  bounds: RowBounds | undefined
  idBounds: IdBounds
  /** The operators after the aggregate, in order. */
  after: readonly OperatorPlan[]
  /** The row of a window comes when the clock is so far past its end; undefined: at some record. */
  closeDelayMs: number | undefined
  /** How long rows stay, by the name of a view. */
  keeps: ReadonlyMap<string, ViewKeep>
  /** Views that have a row of each key and time, by their names. */
  histories: ReadonlyMap<string, HistoryRows>
  /** The chain that takes its rows as records: final ones, of a running result each. */
  rows: RowsChainOptions | undefined
  accumulators: Accumulators
  /** A row is the result of its one accumulator. */
  isReduce: boolean
  deadLetters: DeadLetters
}

/** The sinks of one aggregate operator. */
export class ResultSinks {
  /** The distinct intervals of `every` sinks, ascending; a row's changed bit n belongs to interval n. */
  readonly everyMs: readonly number[]
  /** True when some sink wants rows before the close, or a view removes some: records are then taken one by one. */
  readonly isEager: boolean
  readonly #finals: ResultSink[] = []
  readonly #updates: ResultSink[] = []
  readonly #every: ResultSink[][]
  readonly #options: ResultSinksOptions
  readonly #parts: RowParts
  readonly #headers = new HeaderBytes()
  readonly #rowHeaders: RowHeaders
  readonly #rows: RowsChain | undefined
  readonly #result = { startMs: 0, endMs: 0, idMs: 0, updateRev: 0, sentEvery: 0 } as ResultRow
  #phase: Phase = 'early'

  constructor(options: ResultSinksOptions) {
    this.#options = options
    const { accumulators } = options
    this.#rowHeaders = new RowHeaders(options.operator, options.idBounds)
    this.#parts = {
      keySource: new Uint8Array(0),
      keyStart: 0,
      keyBytes: 0,
      windowStartMs: 0,
      idMs: 0,
      windowEndMs: 0,
      numbers: accumulators.numbers,
      others: accumulators.others,
    }
    const { sinks, functions } = resultSinksOf(options)
    this.#rows = options.rows === undefined ? undefined : new RowsChain(options.rows, functions)
    const intervals = sinks.flatMap(({ emit }) => (emit.kind === 'every' ? [emit.everyMs] : []))
    this.everyMs = [...new Set(intervals)].sort((a, b) => a - b)
    this.#every = this.everyMs.map(() => [])
    for (const sink of sinks) {
      this.#finals.push(sink)
      if (sink.emit.kind === 'updates') this.#updates.push(sink)
      if (sink.emit.kind === 'every') this.#every[this.everyMs.indexOf(sink.emit.everyMs)]!.push(sink)
    }
    const isKept = sinks.some(({ keep }) => keep !== undefined)
    this.isEager = this.#updates.length > 0 || this.everyMs.length > 0 || isKept
  }

  /** Some sink wants a row for each record. */
  get hasUpdates(): boolean {
    return this.#updates.length > 0
  }

  /** The row of a window without records, to every sink. `values`: by aggregate. */
  emitFilled(run: FrameRun, window: OutgoingWindow, values: readonly unknown[]): void {
    const { numbers, others } = this.#parts
    this.#take(window)
    for (const [i, value] of values.entries()) {
      numbers[i] = typeof value === 'number' ? value : Number.NaN
      others[i] = typeof value === 'number' ? undefined : value
    }
    this.#phase = 'filled'
    const { startMs, endMs } = window
    this.#passRow(run, endMs - 1)
    for (const sink of this.#finals) this.#write(run, sink, 1, sink.resultTime === 'start' ? startMs : endMs - 1)
  }

  /** The row that was read last goes on as a record. */
  #passRow(run: FrameRun, timeMs: number): void {
    const object = this.#rows === undefined ? undefined : this.#rowObject()
    const error = this.#rows?.pass(run, object, this.#parts, timeMs)
    if (error !== undefined) this.#bury(run, timeMs, error, object)
  }

  /** The final row of a result, to every sink. False when a custom `result` threw. */
  emitFinal(run: FrameRun, result: ResultRow): boolean {
    if (!this.#load(run, result)) return false
    const { rows, row, updateRev } = result
    const every = this.everyMs.length === 0 ? 0 : this.#nextEveryRev(rows, row, -1)
    this.#phase = 'final'
    // A running result has passed each of its rows on.
    if (this.#options.isWindowed) this.#passRow(run, this.#finalTimeMs(result, 'end'))
    for (const sink of this.#finals) {
      const rev = sink.emit.kind === 'final' ? 1 : sink.emit.kind === 'updates' ? updateRev + 1 : every
      this.#write(run, sink, rev, this.#finalTimeMs(result, sink.resultTime))
    }
    return true
  }

  /** The row after a record changed it, to the sinks that want every update. */
  emitUpdate(run: FrameRun, result: ResultRow): void {
    const isPassed = this.#rows !== undefined && !this.#options.isWindowed
    if ((this.#updates.length === 0 && !isPassed) || !this.#load(run, result)) return
    const { rows, row } = result
    const timeMs = rows.slots[row * rows.width + SLOT_EVENT_TIME_MAX]!
    this.#phase = 'early'
    if (isPassed) this.#passRow(run, timeMs)
    for (const sink of this.#updates) this.#write(run, sink, result.updateRev, timeMs)
  }

  /**
   * Takes back a result that is none any more, from the sinks that have had a row of it: the row as it is by now, of phase
   * `retracted`. A view, which keeps the latest row per key, gets a tombstone, or nothing where the next row has the same key.
   */
  emitRetracted(run: FrameRun, result: ResultRow): void {
    const { rows, row, updateRev, sentEvery } = result
    const isSent = updateRev > 0 && this.#updates.length > 0
    if ((!isSent && sentEvery === 0) || !this.#load(run, result)) return
    this.#phase = 'retracted'
    const timeMs = rows.slots[row * rows.width + SLOT_EVENT_TIME_MAX]!
    if (isSent) for (const sink of this.#updates) this.#write(run, sink, updateRev + 1, timeMs)
    if (sentEvery === 0) return
    const at = row * rows.width + SLOT_EVERY
    rows.slots[at]! += EVERY_REV_UNIT
    const rev = Math.floor(rows.slots[at]! / EVERY_REV_UNIT)
    this.#every.forEach((sinks, n) => {
      if ((sentEvery & (1 << n)) !== 0) for (const sink of sinks) this.#write(run, sink, rev, timeMs)
    })
    this.#options.bounds?.sentEvery?.(result, 0)
  }

  /** The row at a tick of interval `n`, if it changed since the last one; its changed bit is cleared. */
  emitTick(run: FrameRun, table: SlabTable, row: number, n: number): void {
    const at = row * table.width + SLOT_EVERY
    if ((table.slots[at]! & (1 << n)) === 0) return
    table.touch(row)
    this.emitEvery(run, this.resultOf(table, row), n)
  }

  /** The row of a tick of interval `n`; its changed bit is cleared. */
  emitEvery(run: FrameRun, result: ResultRow, n: number): void {
    const { rows, row } = result
    const rev = this.#nextEveryRev(rows, row, n)
    if (!this.#load(run, result)) return
    this.#options.bounds?.sentEvery?.(result, result.sentEvery | (1 << n))
    this.#phase = 'early'
    const timeMs = rows.slots[row * rows.width + SLOT_EVENT_TIME_MAX]!
    for (const sink of this.#every[n]!) this.#write(run, sink, rev, timeMs)
  }

  /** The result that a row of a table is, valid until the next call. */
  resultOf(table: SlabTable, row: number): ResultRow {
    const result = this.#result
    const { bounds } = this.#options
    result.rows = table
    result.row = row
    result.keys = table
    result.keyId = table.keyOf(row)
    if (bounds === undefined) result.updateRev = table.slots[row * table.width + SLOT_COUNT]!
    else bounds.fill?.(result)
    return result
  }

  /** Takes the next rev of `every` sinks and clears the changed bit of interval `n` (-1: all of them). */
  #nextEveryRev({ slots, width }: AggregateRows, row: number, n: number): number {
    const at = row * width + SLOT_EVERY
    const revBefore = Math.floor(slots[at]! / EVERY_REV_UNIT)
    const bits = slots[at]! - revBefore * EVERY_REV_UNIT
    slots[at] = (revBefore + 1) * EVERY_REV_UNIT + (n < 0 ? 0 : bits & ~(1 << n))
    return revBefore + 1
  }

  #finalTimeMs({ rows, row, startMs, endMs }: ResultRow, resultTime: ResultSink['resultTime']): number {
    const eventTimeMsMax = rows.slots[row * rows.width + SLOT_EVENT_TIME_MAX]!
    const { bounds } = this.#options
    if (bounds === undefined || resultTime === 'max') return eventTimeMsMax
    return resultTime === 'end' ? bounds.lastMomentMs(endMs) : startMs
  }

  /** Reads key, window and results of a row. False when a custom `result` threw; then the row is a dead letter. */
  #load(run: FrameRun, result: ResultRow): boolean {
    this.#take(result)
    try {
      this.#options.accumulators.read(result.rows, result.row)
      return true
    } catch (error) {
      this.#buryResult(run, result, error)
      return false
    }
  }

  /** A result that an accumulator of the job could not give: its key is the dead letter's value. */
  bury(run: FrameRun, result: ResultRow, error: unknown): void {
    this.#take(result)
    this.#buryResult(run, result, error)
  }

  /** Key and window of a result, for what is written next. */
  #take({ keys, keyId, startMs, endMs, idMs }: OutgoingWindow): void {
    const parts = this.#parts
    parts.keySource = keys.keyArena
    parts.keyStart = keys.keyStart(keyId)
    parts.keyBytes = keys.keyBytes(keyId)
    parts.windowStartMs = startMs
    parts.idMs = idMs
    parts.windowEndMs = endMs
  }

  #buryResult(run: FrameRun, { rows, row }: ResultRow, error: unknown): void {
    this.#bury(run, rows.slots[row * rows.width + SLOT_EVENT_TIME_MAX]!, error, { key: this.#keyText() })
  }

  #write(run: FrameRun, sink: ResultSink, rev: number, timestampMs: number): void {
    const isRetracted = this.#phase === 'retracted'
    // The row that comes next has the same key.
    if (isRetracted && sink.isView && sink.keyFn === undefined && sink.history === undefined) return
    sink.keep?.before(run, run.task.eventTimeMsMax, this.#clockMs(run))
    if (sink.isDirect && !(isRetracted && sink.isView)) this.#writeDirect(run, sink, rev, timestampMs)
    else this.#writeObject(run, sink, rev, timestampMs)
  }

  /** Where the clock is for the row at hand: a jump closes one window after the other, each at its own time. */
  #clockMs({ task }: FrameRun): number {
    const { closeDelayMs } = this.#options
    const { watermarkMs } = task
    if (closeDelayMs === undefined || this.#phase === 'early' || this.#phase === 'retracted') return watermarkMs
    const nowMs = watermarkMs === Number.POSITIVE_INFINITY ? task.eventTimeMsMax : watermarkMs
    return Math.min(nowMs, this.#parts.windowEndMs + closeDelayMs)
  }

  /** Key, value and headers go straight into the frame. */
  #writeDirect(run: FrameRun, sink: ResultSink, rev: number, timestampMs: number): void {
    const { out } = run
    const parts = this.#parts
    const rowHeaders = this.#rowHeaders
    const { history } = sink
    let { keySource, keyStart, keyBytes } = parts
    const bytesMax = sink.encoder.prepare(parts) + rowHeaders.bytesMax(keyBytes)
    if (history !== undefined) {
      history.write(keySource, keyStart, keyBytes, this.#historyMs(history, timestampMs))
      keySource = history.bytes
      keyStart = 0
      keyBytes = history.length
    }
    const partition = history?.partition ?? -1
    const start = out.begin(sink.topicIndex, partition, timestampMs, keySource, keyStart, keyBytes, bytesMax)
    const end = sink.encoder.write(out.bytes, start, parts)
    const headersEnd = rowHeaders.write(out.bytes, end, parts, rev, this.#phase)
    checkRowSize(sink, keyBytes + headersEnd - start)
    out.end(start, end, headersEnd - end)
    run.task.tally.counts.results++
    sink.keep?.wrote(run, keySource, keyStart, keyBytes, this.#rowTimeMs(timestampMs))
  }

  #writeObject(run: FrameRun, sink: ResultSink, rev: number, timestampMs: number): void {
    const row = this.#rowObject()
    this.#rowHeaders.pack(this.#headers, this.#parts, rev, this.#phase)
    try {
      const value = applyFunctions(sink.functions, row, this.#phase === 'retracted' && sink.emit.kind === 'every')
      if (value === DROPPED) return
      let key = sink.keyFn === undefined ? this.#keyCopy() : keyBytesOf(sink.keyFn(value))
      if (key === undefined && sink.isView) throw new TypeError('the key of a row of a view is undefined')
      if (sink.headersFn !== undefined) addJobHeaders(this.#headers, sink.headersFn(value))
      const { history } = sink
      if (history !== undefined && key !== undefined) {
        history.write(key, 0, key.length, this.#historyMs(history, timestampMs))
        key = history.bytes.subarray(0, history.length)
      }
      const isTombstone = this.#phase === 'retracted' && sink.isView
      const encoded = isTombstone ? undefined : encodeValue(sink.sink.format, value)
      checkRowSize(sink, (key?.length ?? 0) + (encoded?.length ?? 0) + this.#headers.length)
      run.out.append(sink.topicIndex, history?.partition ?? -1, timestampMs, key, encoded, this.#headers.packed())
      run.task.tally.counts.results++
      if (sink.keep === undefined || key === undefined) return
      if (isTombstone) sink.keep.removed(run, key, 0, key.length)
      else sink.keep.wrote(run, key, 0, key.length, this.#rowTimeMs(timestampMs))
    } catch (error) {
      if (error instanceof MillraceError) throw error
      this.#bury(run, timestampMs, error, row)
    }
  }

  /** The time of a row of a view: the end of its window; without one that of the record that made it. */
  #rowTimeMs(timestampMs: number): number {
    return this.#options.bounds === undefined ? timestampMs : this.#parts.windowEndMs
  }

  /** The time that tells a row apart from the others of its key; of a session that it was opened at, which stays. */
  #historyMs({ time }: HistoryRows, timestampMs: number): number {
    if (time === 'record') return timestampMs
    return time === 'end' ? this.#parts.windowEndMs : this.#parts.idMs
  }

  /** A result row that a function of the job refused to handle goes to the dead letters, with the row as its value. */
  #bury(run: FrameRun, timestampMs: number, error: unknown, row: unknown): void {
    const { deadLetters, operator } = this.#options
    const id = `${operator}:${this.#keyText()}${this.#idBounds()}`
    const key = this.#keyCopy()
    deadLetters.writeResult(run, operator, id, key, row, timestampMs, error)
  }

  #idBounds(): string {
    const { idBounds } = this.#options
    const { idMs, windowEndMs } = this.#parts
    if (idBounds === 'none') return ''
    if (idBounds === 'number') return `:#${idMs}`
    return idBounds === 'start' ? `:${idMs}` : `:${idMs}:${windowEndMs}`
  }

  #keyCopy(): Uint8Array {
    const { keySource, keyStart, keyBytes } = this.#parts
    return keySource.slice(keyStart, keyStart + keyBytes)
  }

  #keyText(): string {
    return textDecoder.decode(this.#keyCopy())
  }

  #rowObject(): unknown {
    const { accumulators, keyField, bounds, isReduce } = this.#options
    if (isReduce) return accumulators.valueAt(0)
    const row: Record<string, unknown> = { [keyField]: this.#keyText() }
    if (bounds !== undefined) {
      row.windowStart = this.#parts.windowStartMs
      row.windowEnd = this.#parts.windowEndMs
    }
    accumulators.names.forEach((name, i) => {
      row[name] = accumulators.valueAt(i)
    })
    return row
  }
}
