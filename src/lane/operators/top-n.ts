// topN: the best rows of each group, as they come and go. Runs on a lane, on the free path.
// Keeps SPEC: TOPN-1 (which rows, in which order), TOPN-2 (what is taken back and what is new), TOPN-3 (id and rev), TOPN-4 (what is kept), R3.

/*
 *   group eu, n 2                                  a record: rome 9
 *
 *   1 bonn 8  ┐ list      a row of these for       1 rome 9  ┐     retracted  bonn 8 rank 1, nice 5 rank 2
 *   2 nice 5  ┘           each change of theirs    2 bonn 8  ┘     early      rome 9 rank 1, bonn 8 rank 2
 *   3 rome 2                                       3 nice 5
 *   4 ...     kept, `keep` rows of a group
 */
import type { RowParts } from '../../codec/encode-row.ts'
import { DEAD_FUNCTION, STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import type { TopNPlan } from '../../job/plan.ts'
import type { SlabTable } from '../../state/contract.ts'
import { packValue, unpackValue } from '../../state/value-codec.ts'
import type { ChainState, TableLayout } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, ObjectSource } from '../frame-run.ts'
import { operatorIdOf } from '../operator-id.ts'
import { type Derived, noBytes, toTableKey } from './derived.ts'
import { HeaderBytes } from './header-bytes.ts'
import { KEYED_CELLS_SLOTS, KeyedCells } from './keyed-cells.ts'
import { type Phase, RowHeaders } from './row-headers.ts'
import type { StatefulStep } from './stateful-step.ts'

/** A row of a group: what it is of, what it is ranked by, its msgpack. Replaced, never changed. */
type Entry = readonly [rowKey: string, by: readonly (string | number)[], bytes: Uint8Array]
/** The cells of a group: its rows, best first, and how many rows it has given so far. */
type Group = [entries: Entry[], given: number]

export interface TopNOptions {
  plan: TopNPlan
  outOfOrderMs: number
  objects: ObjectSource
  /** The chain behind it, and its records; a function in it may drop a row that is as good as before. */
  next: { chain: number; derived: Derived; hasFunctions: boolean }
  /** Its tables in a task. */
  tables: (task: ChainState) => SlabTable[]
}

/** The tables of a topN: its groups, and when each is forgotten. */
export function topNTables({ name, ttlMs }: TopNPlan): TableLayout[] {
  const deadlines = { operator: name, operatorId: operatorIdOf(`${name}~deadlines`), width: 1, isWindowed: true }
  return [
    { operator: name, operatorId: operatorIdOf(name), width: KEYED_CELLS_SLOTS, isWindowed: false },
    ...(ttlMs === undefined ? [] : [deadlines]),
  ]
}

const textEncoder = new TextEncoder()
const COLON = 0x3a

export class TopN implements StatefulStep {
  readonly #options: TopNOptions
  readonly #groups = new WeakMap<ChainState, KeyedCells>()
  readonly #rowHeaders: RowHeaders
  readonly #headers = new HeaderBytes()
  readonly #key = noBytes()
  readonly #headerRange = noBytes()
  /** Its key is what the id of a row is made of: that of the group and that of the row. */
  readonly #parts: RowParts = {
    keySource: new Uint8Array(0),
    keyStart: 0,
    keyBytes: 0,
    windowStartMs: 0,
    windowEndMs: 0,
    idMs: 0,
    numbers: new Float64Array(0),
    others: [],
  }

  constructor(options: TopNOptions) {
    this.#options = options
    this.#rowHeaders = new RowHeaders(options.plan.name, 'none')
  }

  open(task: ChainState): void {
    const { tables, plan } = this.#options
    const [groups, index] = tables(task) as [SlabTable, SlabTable | undefined]
    this.#groups.set(task, new KeyedCells(groups, index, plan.ttlMs ?? Number.POSITIVE_INFINITY))
  }

  run(chunk: Chunk, run: FrameRun): void {
    const { task } = run
    const { outOfOrderMs } = this.#options
    const { status, timesMs, carried } = chunk
    const groups = this.#groups.get(task)!
    for (let row = 0; row < chunk.count; row++) {
      const timeMs = timesMs[row]!
      const clockMs = carried?.watermarksMs[row] ?? timeMs - outOfOrderMs
      if (clockMs > task.watermarkMs) task.watermarkMs = clockMs
      if (timeMs > task.eventTimeMsMax) task.eventTimeMsMax = timeMs
      if (status[row] !== STATUS_OK) continue
      if (task.watermarkMs === Number.POSITIVE_INFINITY) status[row] = STATUS_LATE
      else this.#take(chunk, row, run, groups)
    }
  }

  /** Forgets the groups that have had no record for the ttl. */
  advance(run: FrameRun): void {
    this.#groups.get(run.task)!.forget(run.task.watermarkMs)
  }

  #take(chunk: Chunk, row: number, run: FrameRun, groups: KeyedCells): void {
    const { objects, plan } = this.#options
    const { view, task } = run
    let entry: Entry
    try {
      entry = entryOf(plan, chunk.isChanged ? chunk.objects[row] : objects.objectAt(row))
    } catch (error) {
      chunk.failThrown(row, DEAD_FUNCTION, error)
      return
    }
    const at = chunk.at[row]!
    const timeMs = chunk.timesMs[row]!
    const { table } = groups
    const keyId = table.internKey(view.bytes, view.keyStart(at), view.keyBytes(at))
    const group = (groups.get(keyId, task.watermarkMs) as Group | undefined) ?? [[], 0]
    const [entries] = group
    const before = entries.slice(0, plan.n)
    this.#place(entries, entry)
    this.#tell(run, table, keyId, group, before, timeMs)
    groups.set(keyId, group, Math.max(timeMs, task.watermarkMs))
  }

  /** Puts a row where it belongs: behind those that are as good; where it was, when nothing that it is ranked by has changed. */
  #place(entries: Entry[], entry: Entry): void {
    const { keep, order } = this.#options.plan
    const [rowKey, by] = entry
    const known = entries.findIndex(([one]) => one === rowKey)
    if (known >= 0 && compare(entries[known]![1], by) === 0) {
      entries[known] = entry
      return
    }
    if (known >= 0) entries.splice(known, 1)
    const sign = order === 'desc' ? -1 : 1
    let low = 0
    let high = entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compare(entries[middle]![1], by) * sign <= 0) low = middle + 1
      else high = middle
    }
    entries.splice(low, 0, entry)
    if (entries.length > keep) entries.length = keep
  }

  /** What has left the list or has another rank is taken back, by rank; then what is new in its place. */
  #tell(run: FrameRun, table: SlabTable, keyId: number, group: Group, before: readonly Entry[], timeMs: number): void {
    const { plan, next } = this.#options
    const after = group[0].slice(0, plan.n)
    for (const [rank, entry] of before.entries()) {
      const now = after[rank]
      // Where the new row may be dropped on its way, nothing would take the place of the one before.
      if (now?.[0] !== entry[0] || (next.hasFunctions && now !== entry))
        this.#give(run, table, keyId, group, entry, rank + 1, 'retracted', timeMs)
    }
    for (const [rank, entry] of after.entries()) {
      if (before[rank] !== entry) this.#give(run, table, keyId, group, entry, rank + 1, 'early', timeMs)
    }
  }

  #give(
    run: FrameRun,
    table: SlabTable,
    keyId: number,
    group: Group,
    [rowKey, , bytes]: Entry,
    rank: number,
    phase: Phase,
    timeMs: number,
  ): void {
    const { chain, derived } = this.#options.next
    const next = run.task.home!.chains[chain]!
    const key = this.#key
    toTableKey(key, table, keyId)
    // A group may have colons: the last one of an id must be the one behind it.
    const id = textEncoder.encode(rowKey.replaceAll('%', '%25').replaceAll(':', '%3A'))
    const parts = this.#parts
    parts.keySource = new Uint8Array(key.length + 1 + id.length)
    parts.keySource.set(key.bytes.subarray(key.start, key.start + key.length))
    parts.keySource[key.length] = COLON
    parts.keySource.set(id, key.length + 1)
    parts.keyBytes = parts.keySource.length
    group[1]++
    this.#rowHeaders.pack(this.#headers, parts, group[1], phase)
    const headers = this.#headerRange
    headers.bytes = this.#headers.bytes
    headers.length = this.#headers.length
    const clockMs = Math.max(next.watermarkMs, run.task.watermarkMs)
    const row = { ...(unpackValue(bytes) as object), rank }
    derived.add(run, next, key, timeMs, clockMs, row, headers, phase === 'retracted')
  }
}

/** What a record is in its group. Throws TypeError when it cannot be ranked. */
function entryOf({ name, by, rowKey }: TopNPlan, record: unknown): Entry {
  const fields = (typeof record === 'object' && record !== null ? record : {}) as Record<string, unknown>
  const own = fields[rowKey]
  if (typeof own !== 'string' && !Number.isSafeInteger(own)) {
    throw new TypeError(`topN ${name} needs a text or a whole number in ${rowKey}`)
  }
  const values = by.map((field) => {
    const value = fields[field]
    if (typeof value === 'string' || Number.isFinite(value)) return value as string | number
    throw new TypeError(`topN ${name} needs a number or a text in ${field}`)
  })
  return [String(own), values, new Uint8Array(packValue(record))]
}

/** By the first field that differs; a number is before a text, texts by their code units. */
function compare(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (const [i, value] of a.entries()) {
    const other = b[i]!
    if (value === other) continue
    if (typeof value !== typeof other) return typeof value === 'number' ? -1 : 1
    return value < other ? -1 : 1
  }
  return 0
}
