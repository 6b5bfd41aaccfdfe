// The tables that a lane has as a whole, in memory: the rows of all partitions of their topics, as the engine reads them. Runs on a
// lane; all its tasks share them.
// Keeps SPEC: TABLE-5 (every instance has all rows, within a limit), TABLE-4 (a record without a value deletes the row).

import { MillraceError } from '../core/errors.ts'
import { FrameView } from '../core/frame.ts'
import type { LaneGlobal, LaneLimits, LaneRequest } from '../core/message.ts'
import { deadRow, STATUS_OK } from '../core/record-status.ts'
import { allOperators, type CompiledJob, type GlobalJoinPlan } from '../job/plan.ts'
import { Chunk } from './chunk.ts'
import { sourceFields } from './compile-fields.ts'
import type { FrameRun } from './frame-run.ts'
import { jobFunction } from './job-function.ts'
import { TOMBSTONE } from './operators/derived.ts'
import { TableFunction } from './operators/table-function.ts'
import { keptBytes, keptObject } from './operators/table-rows.ts'
import { SourceReader } from './source-reader.ts'

const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true })
/** What a row costs beside its bytes: its key as text, its place in the map. */
const ROW_BYTES = 120

/** The rows of one join. */
export class GlobalRows {
  readonly topic: string
  readonly #rows = new Map<string, Uint8Array>()
  readonly #reader: SourceReader
  readonly #chunk: Chunk
  readonly #functions: readonly TableFunction[]
  readonly #isMsgpack: boolean
  bytes = 0

  constructor(job: CompiledJob, { table }: GlobalJoinPlan, limits: LaneLimits) {
    const { source, operators } = table
    this.topic = source.topic
    this.#chunk = new Chunk(sourceFields(table))
    this.#reader = new SourceReader(job, source, limits, this.#chunk, false)
    this.#functions = operators.flatMap((operator) => {
      if (operator.kind !== 'filter' && operator.kind !== 'map') return []
      const { kind, fields, fn } = operator
      return [new TableFunction({ kind, fields, fn: jobFunction(job, fn) }, this.#reader)]
    })
    this.#isMsgpack = source.format === 'msgpack' && source.schemaFn === undefined
  }

  get rowCount(): number {
    return this.#rows.size
  }

  /** The row of a key, decoded anew; undefined: there is none. */
  row(key: string): unknown {
    const bytes = this.#rows.get(key)
    return bytes === undefined ? undefined : keptObject(bytes)
  }

  clear(): void {
    this.#rows.clear()
    this.bytes = 0
  }

  /** Takes the records of a frame. Notes those that are no rows. */
  take(frame: ArrayBuffer, answer: LaneGlobal): void {
    const chunk = this.#chunk
    const run = { view: new FrameView(frame) } as FrameRun
    this.#reader.begin(run.view)
    while (this.#reader.fill()) {
      for (const step of this.#functions) step.run(chunk, run)
      for (let row = 0; row < chunk.count; row++) {
        const key = run.view.key(chunk.at[row]!)
        if (chunk.status[row] === STATUS_OK && key !== undefined) this.#set(chunk, row, run, textDecoder.decode(key))
        if (chunk.status[row] !== STATUS_OK || key === undefined) this.#refuse(chunk, row, answer, key === undefined)
      }
    }
  }

  #set(chunk: Chunk, row: number, run: FrameRun, key: string): void {
    const stream = { objects: this.#reader, outOfOrderMs: 0, isMsgpack: this.#isMsgpack }
    const bytes = chunk.isChanged && chunk.objects[row] === TOMBSTONE ? undefined : keptBytes(stream, chunk, row, run)
    if (chunk.status[row] !== STATUS_OK) return
    const before = this.#rows.get(key)
    if (before !== undefined) this.bytes -= before.length + key.length + ROW_BYTES
    if (bytes === undefined) this.#rows.delete(key)
    else {
      this.#rows.set(key, bytes)
      this.bytes += bytes.length + key.length + ROW_BYTES
    }
  }

  #refuse(chunk: Chunk, row: number, answer: LaneGlobal, hasNoKey: boolean): void {
    const status = chunk.status[row]!
    const reason =
      hasNoKey && status === STATUS_OK
        ? 'a row of a table needs a key'
        : (chunk.reasons.get(row) ?? deadRow(status).reason)
    answer.refused++
    answer.lastRefused = new MillraceError('MR2014', { topic: this.topic, reason }).toData()
  }
}

export class GlobalTables {
  readonly #limits: LaneLimits
  /** Topics that were begun on this lane. */
  readonly #begun = new Set<string>()
  /** By name of the join. */
  readonly #tables: ReadonlyMap<string, GlobalRows>

  constructor(job: CompiledJob, limits: LaneLimits) {
    this.#limits = limits
    const joins = allOperators(job.plan).flatMap((operator) => (operator.kind === 'globalJoin' ? [operator] : []))
    this.#tables = new Map(joins.map((join) => [join.name, new GlobalRows(job, join, limits)]))
  }

  /** Throws on a lane that has begun anew, and was not told the rows that came before. */
  checkBegun(): void {
    for (const { topic } of this.#tables.values()) {
      if (!this.#begun.has(topic)) throw new Error(`the lane has begun anew, without the global table of ${topic}`)
    }
  }

  of({ name }: GlobalJoinPlan): GlobalRows {
    return this.#tables.get(name)!
  }

  /** Takes rows of a topic that was begun. Throws MR4038 when there are more than fit. */
  take({ topic, isFirst, frame }: Extract<LaneRequest, { op: 'global' }>): LaneGlobal {
    if (isFirst) this.#begun.add(topic)
    else this.checkBegun()
    const answer: LaneGlobal = { op: 'global', rowCount: 0, bytes: 0, refused: 0, lastRefused: undefined }
    for (const rows of this.#tables.values()) {
      if (rows.topic === topic) {
        if (isFirst) rows.clear()
        if (frame !== undefined) rows.take(frame, answer)
      }
      answer.rowCount += rows.rowCount
      answer.bytes += rows.bytes
    }
    const limit = this.#limits.stateMemoryBytesMax
    if (answer.bytes > limit) throw new MillraceError('MR4038', { topic, bytes: answer.bytes, limit })
    return answer
  }
}
