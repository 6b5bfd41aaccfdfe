// The accumulators of an aggregate operator: how a row's slots are laid out and how records are added to rows. Hot.
// Runs on a lane. Built-in aggregates are loops over columns; custom ones are functions of the job, one call a record.
// Keeps SPEC: AGG-2 (same result however records were cut), AGG-5 (or merged), ERR-3 (a throwing accumulator makes its record dead).

/*
 * A row:  0 greatest event time | 1 records accepted | 2 rows emitted by `every` sinks * 256 + a changed bit an interval
 *         3.. slots of the aggregates, in plan order; custom accumulators have none, their state is in the row's cells
 */
import type { Aggregate, AggregateInput, MergedCells } from '../../core/aggregates/aggregate.ts'
import { AGGREGATES } from '../../core/aggregates/catalog.ts'
import type { Columns } from '../../core/columns.ts'
import { DEAD_FUNCTION } from '../../core/record-status.ts'
import type { AggregatePlan, CompiledJob } from '../../job/plan.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { Chunk } from '../chunk.ts'
import type { ObjectSource } from '../frame-run.ts'
import { CustomAccumulators } from './custom-accumulators.ts'
import { FieldNeeds } from './field-needs.ts'

export const SLOT_EVENT_TIME_MAX = 0
export const SLOT_COUNT = 1
export const SLOT_EVERY = 2
const HEADER_SLOTS = 3

/** A built-in aggregate at its place. */
interface SlotAggregate {
  readonly aggregate: Aggregate
  readonly slotAt: number
  readonly input: AggregateInput
}

/** Where rows are: those of a slab table, or others laid out as they are. */
export type AggregateRows = Pick<SlabTable, 'slots' | 'width' | 'cells'>

/** A result: of a built-in aggregate (by its index) or of a custom one. */
type ResultPlace = { kind: 'slot'; index: number } | { kind: 'custom'; index: number }

/** The accumulators of one operator, for all tasks of a lane. */
export class Accumulators {
  readonly names: readonly string[]
  readonly width: number
  /** A row may grow with each of its records. */
  readonly isGrowing: boolean
  /** The results of the row read last, by aggregate; NaN: see `others`. */
  readonly numbers: Float64Array
  readonly others: unknown[]
  /** The last `add` has deleted a row. */
  hasDeleted = false
  readonly #slotted: SlotAggregate[] = []
  /** What functions of the job add up, in cells of a row. */
  readonly customs: CustomAccumulators
  readonly #places: ResultPlace[] = []
  readonly #needs: FieldNeeds
  /** Rows of records that a custom accumulator threw on, in this call of `add`. */
  readonly #refused = new Set<number>()
  readonly #mergedCells: MergedCells = { to: [], from: undefined }
  readonly #hasCells: boolean
  /** The row of the record at hand, where it goes to several one after another. */
  readonly #ofRecord: Int32Array

  /**
   * `columns`: where the fields are, which are those of the source or those filled after a map; `fieldOffset` is added to a
   * field's index in the detail of a dead record, so that the letter finds its name. `isMerged`: rows will be merged.
   */
  constructor(
    job: CompiledJob,
    plans: readonly AggregatePlan[],
    columns: Columns,
    fieldOffset: number,
    timesMs: Float64Array,
    objects: ObjectSource,
    isMerged = false,
  ) {
    this.names = plans.map((plan) => plan.as)
    this.numbers = new Float64Array(plans.length)
    this.others = new Array(plans.length).fill(undefined)
    this.customs = new CustomAccumulators(columns, objects)
    this.#ofRecord = new Int32Array(columns.capacity)
    this.#needs = new FieldNeeds(plans, columns, fieldOffset)
    let slotAt = HEADER_SLOTS
    let cell = 0
    for (const plan of plans) {
      if (plan.kind === 'custom') {
        this.#places.push({ kind: 'custom', index: this.customs.count })
        this.customs.push(job, plan, cell++)
        continue
      }
      const aggregate = AGGREGATES[plan.kind].make(plan.options ?? {}, isMerged)
      const [field = 0, second = field] = plan.fields.map((name) => columns.fields.indexOf(name))
      const input: AggregateInput = {
        values: columns.valuesOf(field),
        second: columns.valuesOf(second),
        timesMs,
        columns,
        field,
        cells: [],
        cell: aggregate.hasCell ? cell++ : 0,
      }
      this.#places.push({ kind: 'slot', index: this.#slotted.length })
      this.#slotted.push({ aggregate, slotAt, input })
      slotAt += aggregate.slotCount
    }
    this.width = slotAt
    this.isGrowing = this.hasCustoms || this.#slotted.some(({ aggregate }) => aggregate.isGrowing === true)
    this.#hasCells = cell > 0
  }

  /** A record may be refused while it is added. */
  get hasCustoms(): boolean {
    return this.customs.count > 0
  }

  /** Ends records whose fields are not what the aggregates need. */
  validate(chunk: Chunk): void {
    this.#needs.validate(chunk)
  }

  /** Lays out a row that was just created. */
  init(rows: AggregateRows, row: number): void {
    const { slots, width } = rows
    const base = row * width
    slots[base + SLOT_EVENT_TIME_MAX] = Number.NEGATIVE_INFINITY
    slots[base + SLOT_COUNT] = 0
    slots[base + SLOT_EVERY] = 0
    for (const { aggregate, slotAt } of this.#slotted) aggregate.init(slots, base + slotAt)
  }

  /**
   * Adds the records [from, to) to their rows; rows[i] < 0 is left out. Custom accumulators go first: a record whose `add`
   * throws is dead (rows[i] becomes -1), no built-in aggregate sees it, and a row made for it alone is deleted again.
   * Gives false when that happened; `hasDeleted` says whether a row was deleted.
   */
  add(table: SlabTable, chunk: Chunk, rows: Int32Array, from: number, to: number): boolean {
    if (this.hasCustoms) {
      for (let i = from; i < to; i++) if (rows[i]! >= 0) this.#addToCustoms(table, chunk, rows, i)
    }
    this.addBuiltIns(table, chunk, rows, from, to)
    this.hasDeleted = false
    if (this.#refused.size === 0) return true
    // A row that accepted nothing must not become final.
    for (const row of this.#refused) {
      if (table.slots[row * table.width + SLOT_COUNT] !== 0) continue
      table.deleteRow(row)
      this.hasDeleted = true
    }
    this.#refused.clear()
    return false
  }

  /** The same without custom accumulators, whose states the caller has set. */
  addBuiltIns(table: SlabTable, chunk: Chunk, rows: Int32Array, from: number, to: number): void {
    const { slots, width } = table
    addToHeader(slots, width, rows, chunk.timesMs, from, to)
    for (let a = 0; a < this.#slotted.length; a++) {
      const { aggregate, slotAt, input } = this.#slotted[a]!
      input.cells = table.cells
      aggregate.update(slots, width, slotAt, rows, input, from, to)
    }
  }

  /**
   * Adds record `i` to each of some rows: to all of them or, when a custom accumulator throws, to none; then the record is dead
   * and the result false.
   */
  addToEach(table: SlabTable, chunk: Chunk, places: readonly number[], i: number): boolean {
    if (this.hasCustoms && !this.#addToCustomsOfEach(table, chunk, places, i)) return false
    const place = this.#ofRecord
    for (const row of places) {
      place[i] = row
      this.addBuiltIns(table, chunk, place, i, i + 1)
    }
    return true
  }

  #addToCustomsOfEach(table: SlabTable, chunk: Chunk, places: readonly number[], i: number): boolean {
    const states: unknown[][] = []
    try {
      for (const row of places) states.push(this.statesAfter(table, row, -1, chunk, i, places.length > 1))
    } catch (error) {
      chunk.failThrown(i, DEAD_FUNCTION, error)
      for (const row of places) if (table.slots[row * table.width + SLOT_COUNT] === 0) table.deleteRow(row)
      return false
    }
    for (const [n, row] of places.entries()) this.setStates(table, row, states[n]!)
    return true
  }

  #addToCustoms(table: SlabTable, chunk: Chunk, rows: Int32Array, i: number): void {
    const row = rows[i]!
    const { customs } = this
    try {
      // One may change its state in place; of several, the first must not when the second throws.
      const before = isNew(table, row) ? customs.initial() : customs.statesOf(table.cells[row], customs.count > 1)
      this.setStates(table, row, customs.withRecord(before, chunk, i))
    } catch (error) {
      rows[i] = -1
      this.#refused.add(row)
      chunk.failThrown(i, DEAD_FUNCTION, error)
    }
  }

  /**
   * The custom states of a row with those of `later` merged (-1: none) and record `i` added. On copies, so that nothing is changed;
   * without `isCopied` a single function may change the state that it is given, as long as it does not throw.
   * Throws what a function of the job throws.
   */
  statesAfter(table: AggregateRows, row: number, later: number, chunk: Chunk, i: number, isCopied = true): unknown[] {
    const { customs } = this
    const mayThrowLater = later >= 0 || customs.count > 1
    let states = isNew(table, row) ? customs.initial() : customs.statesOf(table.cells[row], isCopied || mayThrowLater)
    if (later >= 0) states = customs.withStates(states, customs.statesOf(table.cells[later], false))
    return customs.withRecord(states, chunk, i)
  }

  setStates(table: AggregateRows, row: number, states: readonly unknown[]): void {
    const cells = table.cells[row] ?? []
    this.customs.set(cells, states)
    table.cells[row] = cells
  }

  /**
   * Adds what row `fromRow` holds to row `toRow`, which must hold something already or be new from `init`; of records at one time
   * those of `toRow` come first. Hot where windows overlap. Throws what a custom `merge` throws.
   */
  merge(to: AggregateRows, toRow: number, from: AggregateRows, fromRow: number): void {
    if (this.hasCustoms) {
      const { customs } = this
      const isFirst = isNew(to, toRow)
      const later = customs.statesOf(from.cells[fromRow], isFirst)
      this.setStates(to, toRow, isFirst ? later : customs.withStates(customs.statesOf(to.cells[toRow], false), later))
    }
    this.mergeBuiltIns(to, toRow, from, fromRow)
  }

  /** The same without custom accumulators, whose states the caller has set. */
  mergeBuiltIns(to: AggregateRows, toRow: number, from: AggregateRows, fromRow: number): void {
    const toBase = toRow * to.width
    const fromBase = fromRow * from.width
    const toSlots = to.slots
    const fromSlots = from.slots
    const cells = this.#mergedCells
    if (this.#hasCells) {
      cells.to = to.cells[toRow] ??= []
      cells.from = from.cells[fromRow]
    }
    if (fromSlots[fromBase]! > toSlots[toBase]!) toSlots[toBase] = fromSlots[fromBase]!
    toSlots[toBase + SLOT_COUNT]! += fromSlots[fromBase + SLOT_COUNT]!
    for (let a = 0; a < this.#slotted.length; a++) {
      const { aggregate, slotAt, input } = this.#slotted[a]!
      aggregate.merge(toSlots, toBase + slotAt, fromSlots, fromBase + slotAt, cells, input.cell)
    }
  }

  /** Reads the results of a row into `numbers` and `others`. Throws what a custom `result` throws. */
  read(table: AggregateRows, row: number): void {
    const base = row * table.width
    const cells = table.cells[row]
    for (let i = 0; i < this.#places.length; i++) {
      const place = this.#places[i]!
      if (place.kind === 'slot') {
        const { aggregate, slotAt, input } = this.#slotted[place.index]!
        const cell = aggregate.hasCell ? cells?.[input.cell] : undefined
        const number = aggregate.result(table.slots, base + slotAt, cell)
        this.numbers[i] = number
        if (Number.isNaN(number)) this.others[i] = aggregate.other?.(table.slots, base + slotAt, cell)
      } else {
        this.numbers[i] = Number.NaN
        this.others[i] = this.customs.result(place.index, cells)
      }
    }
  }

  /** The results read last, as values of a row object, which shares nothing with the state. */
  valueAt(i: number): unknown {
    const number = this.numbers[i]!
    return !Number.isNaN(number) ? number : ownValue(this.others[i] ?? null)
  }
}

const SHARED: ReadonlySet<unknown> = new Set([Object, Array, Map, Set])

/** A result may be the state itself, or a part of it, which later records and functions behind may change. */
function ownValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !SHARED.has(value.constructor)) return value
  try {
    return structuredClone(value)
  } catch {
    // There are functions in it: no state has any.
    return value
  }
}

/** No record was added to the row yet, by custom accumulators neither, which go first. */
function isNew({ slots, width, cells }: AggregateRows, row: number): boolean {
  return slots[row * width + SLOT_COUNT] === 0 && cells[row] === undefined
}

/** Greatest event time and count of each row: what every row has, whatever its aggregates. */
function addToHeader(
  slots: Float64Array,
  width: number,
  rows: Int32Array,
  timesMs: Float64Array,
  from: number,
  to: number,
): void {
  for (let i = from; i < to; i++) {
    const row = rows[i]!
    if (row >= 0) addToRow(slots, row * width, timesMs[i]!)
  }
}

function addToRow(slots: Float64Array, base: number, timeMs: number): void {
  if (timeMs > slots[base]!) slots[base] = timeMs
  slots[base + 1]! += 1
}
