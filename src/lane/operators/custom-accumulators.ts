// The custom accumulators of an aggregate operator: functions of the job, one call a record; their states are cells of a row.
// Runs on a lane.
// Keeps SPEC: ERR-3 (a function that throws changes nothing but its record), AGG-5 (merged states share nothing).

import type { Columns } from '../../core/columns.ts'
import type { CompiledJob, CustomAggregatePlan } from '../../job/plan.ts'
import type { Chunk } from '../chunk.ts'
import type { ObjectSource } from '../frame-run.ts'
import { type JobFunction, jobFunction } from '../job-function.ts'

/** A custom accumulator at its place. */
interface CustomAggregate {
  readonly cell: number
  readonly init: JobFunction
  readonly add: JobFunction
  readonly result: JobFunction
  readonly merge: JobFunction | undefined
  /** Calls `add` with named fields; undefined: with the whole record. */
  readonly fields: readonly number[] | undefined
}

type Cells = readonly unknown[] | undefined

export class CustomAccumulators {
  readonly #customs: CustomAggregate[] = []
  readonly #columns: Columns
  readonly #objects: ObjectSource

  constructor(columns: Columns, objects: ObjectSource) {
    this.#columns = columns
    this.#objects = objects
  }

  get count(): number {
    return this.#customs.length
  }

  push(job: CompiledJob, plan: CustomAggregatePlan, cell: number): void {
    this.#customs.push({
      cell,
      init: jobFunction(job, plan.init),
      add: jobFunction(job, plan.add),
      result: jobFunction(job, plan.result),
      merge: plan.merge === undefined ? undefined : jobFunction(job, plan.merge),
      fields: plan.fields?.map((name) => this.#columns.fields.indexOf(name)),
    })
  }

  /** The states of no record. */
  initial(): unknown[] {
    return this.#customs.map(({ init }) => init())
  }

  /** The states in a row's cells; on copies, where a function may change the one it is given. */
  statesOf(cells: Cells, isCopied: boolean): unknown[] {
    return this.#customs.map(({ cell }) => (isCopied ? structuredClone(cells?.[cell]) : cells?.[cell]))
  }

  /** The states with record `i` added. */
  withRecord(states: readonly unknown[], chunk: Chunk, i: number): unknown[] {
    return this.#customs.map((custom, n) => this.#add(custom, states[n], chunk, i))
  }

  /** The states with those of later records added, of which copies are taken: `merge` may keep what it is given. */
  withStates(states: readonly unknown[], later: readonly unknown[]): unknown[] {
    return this.#customs.map(({ merge }, n) => merge!(states[n], structuredClone(later[n])))
  }

  /** Puts states into a row's cells, which are grown if need be. */
  set(cells: unknown[], states: readonly unknown[]): void {
    this.#customs.forEach(({ cell }, n) => {
      while (cells.length <= cell) cells.push(null)
      cells[cell] = states[n]
    })
  }

  /** The result of one. */
  result(index: number, cells: Cells): unknown {
    const { result, cell } = this.#customs[index]!
    return result(cells?.[cell])
  }

  #add({ fields, add }: CustomAggregate, state: unknown, chunk: Chunk, i: number): unknown {
    if (fields === undefined) return add(state, chunk.isChanged ? chunk.objects[i] : this.#objects.objectAt(i))
    return add(state, ...fields.map((field) => this.#columns.valueAt(field, i)))
  }
}
