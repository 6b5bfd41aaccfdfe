// Each record with the row of a table that the lane has as a whole, by a field of the record. Runs on a lane.
// Keeps SPEC: TABLE-5 (the row as it is; without one the record is filtered, or has none), ERR-3, COUNT-1.

import { DEAD_FUNCTION, STATUS_FILTERED, STATUS_OK } from '../../core/record-status.ts'
import type { GlobalJoinPlan } from '../../job/plan.ts'
import type { Chunk } from '../chunk.ts'
import type { ObjectSource, Step } from '../frame-run.ts'
import type { JobFunction } from '../job-function.ts'
import { joinedRow } from './join-rows.ts'

/** Rows by key. */
export interface RowSource {
  row(key: string): unknown
}

export interface GlobalJoinFields {
  /** Column of the field that names the row; -1: a function made the records. */
  column: number
  objects: ObjectSource
}

export class GlobalJoin implements Step {
  readonly #plan: GlobalJoinPlan
  readonly #fn: JobFunction
  readonly #rows: RowSource
  readonly #fields: GlobalJoinFields

  constructor(plan: GlobalJoinPlan, fn: JobFunction, rows: RowSource, fields: GlobalJoinFields) {
    this.#plan = plan
    this.#fn = fn
    this.#rows = rows
    this.#fields = fields
  }

  run(chunk: Chunk): void {
    const isLeft = this.#plan.type === 'left'
    const { isChanged } = chunk
    for (let row = 0; row < chunk.count; row++) {
      if (chunk.status[row] !== STATUS_OK) continue
      const key = this.#keyOf(chunk, row)
      const found = typeof key === 'string' || typeof key === 'number' ? this.#rows.row(String(key)) : undefined
      if (found === undefined && !isLeft) {
        chunk.status[row] = STATUS_FILTERED
        continue
      }
      try {
        const record = isChanged ? chunk.objects[row] : this.#fields.objects.objectAt(row)
        chunk.objects[row] = joinedRow(this.#fn, record, found)
      } catch (error) {
        chunk.failThrown(row, DEAD_FUNCTION, error)
      }
    }
    chunk.isChanged = true
  }

  #keyOf(chunk: Chunk, row: number): unknown {
    const { column } = this.#fields
    if (column >= 0 && !chunk.isChanged) return chunk.columns.valueAt(column, row)
    return (chunk.objects[row] as Record<string, unknown> | null | undefined)?.[this.#plan.on]
  }
}
