// What the fields of records must hold for the aggregates of an operator; of anything else a record is dead. Hot.
// Runs on a lane.
// Keeps SPEC: AGG-1 (no aggregate of a row sees a record that one of them cannot take).

import { AGGREGATES, type FieldNeed } from '../../core/aggregates/catalog.ts'
import { isDecimal } from '../../core/aggregates/decimal-sum.ts'
import { type Columns, TAG_BIG, TAG_MISSING, TAG_TEXT } from '../../core/columns.ts'
import { DEAD_BIG_INTEGER, DEAD_FIELD, STATUS_OK } from '../../core/record-status.ts'
import type { AggregatePlan } from '../../job/plan.ts'
import type { Chunk } from '../chunk.ts'

/** What a dead letter says was expected; what asks for more comes first. */
const EXPECTED: Readonly<Record<FieldNeed, string>> = {
  number: 'number',
  decimal: "decimal as text, e.g. '12.30'",
  scalar: 'text, number or boolean',
  value: 'value',
}

/** What the aggregates of an operator expect in a field, in words; undefined: none of them takes it. */
export function expectedIn(plans: readonly AggregatePlan[], field: string): string | undefined {
  const needs = new Set(plans.flatMap(needsOf).map(([name, need]) => (name === field ? need : undefined)))
  const need = (Object.keys(EXPECTED) as FieldNeed[]).find((candidate) => needs.has(candidate))
  return need && EXPECTED[need]
}

function needsOf(plan: AggregatePlan): [field: string, need: FieldNeed][] {
  if (plan.kind === 'custom') return []
  return AGGREGATES[plan.kind].takes.map((need, i) => [plan.fields[i]!, need])
}

export class FieldNeeds {
  readonly #columns: Columns
  readonly #fieldOffset: number
  readonly #needs: { field: number; need: FieldNeed }[] = []

  /** `fieldOffset` is added to a field's index in the detail of a dead record, so that the letter finds its name. */
  constructor(plans: readonly AggregatePlan[], columns: Columns, fieldOffset: number) {
    this.#columns = columns
    this.#fieldOffset = fieldOffset
    for (const [name, need] of plans.flatMap(needsOf)) {
      const field = columns.fields.indexOf(name)
      if (!this.#needs.some((known) => known.field === field && known.need === need)) this.#needs.push({ field, need })
    }
    const order = Object.keys(EXPECTED)
    this.#needs.sort((a, b) => order.indexOf(a.need) - order.indexOf(b.need))
  }

  /** Ends the records that do not hold what is needed. One loop a field. */
  validate(chunk: Chunk): void {
    for (const { field, need } of this.#needs) {
      if (need === 'number') this.#requireNumbers(chunk, field)
      else this.#require(chunk, field, need)
    }
  }

  #requireNumbers(chunk: Chunk, field: number): void {
    const { status } = chunk
    const { values, capacity } = this.#columns
    const base = field * capacity
    for (let row = 0; row < chunk.count; row++) {
      const value = values[base + row]!
      // Only finite numbers give 0 here; infinities and NaN give NaN.
      if (value - value !== 0 && status[row] === STATUS_OK) this.#refuse(chunk, row, field)
    }
  }

  #require(chunk: Chunk, field: number, need: FieldNeed): void {
    const { status } = chunk
    for (let row = 0; row < chunk.count; row++) {
      if (status[row] === STATUS_OK && !this.#holds(field, row, need)) this.#refuse(chunk, row, field)
    }
  }

  #holds(field: number, row: number, need: FieldNeed): boolean {
    const { tags, values, capacity } = this.#columns
    const tag = tags[field * capacity + row]
    if (need === 'value') return tag !== TAG_MISSING
    if (need === 'decimal') return isDecimal(this.#columns.valueAt(field, row))
    // Text and finite numbers are told without decoding them.
    if (tag === TAG_TEXT || Number.isFinite(values[field * capacity + row])) return true
    const type = tag === TAG_BIG ? 'bigint' : typeof this.#columns.valueAt(field, row)
    return type === 'string' || type === 'boolean'
  }

  #refuse(chunk: Chunk, row: number, field: number): void {
    const { tags, capacity } = this.#columns
    chunk.fail(row, tags[field * capacity + row] === TAG_BIG ? DEAD_BIG_INTEGER : DEAD_FIELD, field + this.#fieldOffset)
  }
}
