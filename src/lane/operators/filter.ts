// filter: over named fields (fast path, hot) or over the whole record (free path).
// Runs on a lane.
// Keeps SPEC: PATH-1 (both paths give the same), ERR-3 (a function that throws makes its record dead, nothing else).

import { type Columns, TAG_NUMBER } from '../../core/columns.ts'
import { DEAD_FUNCTION, STATUS_FILTERED, STATUS_OK } from '../../core/record-status.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, ObjectSource, Step } from '../frame-run.ts'
import type { JobFunction } from '../job-function.ts'

/** Calls a function with some fields of a row; for one and two fields without an array. */
export class FieldCaller {
  readonly #fn: JobFunction
  readonly #fields: readonly number[]
  readonly #args: unknown[]

  constructor(fn: JobFunction, fields: readonly number[]) {
    this.#fn = fn
    this.#fields = fields
    this.#args = new Array(fields.length).fill(undefined)
  }

  call(columns: Columns, row: number): unknown {
    const fields = this.#fields
    if (fields.length === 1) return this.#fn(argument(columns, fields[0]!, row))
    if (fields.length === 2) return this.#fn(argument(columns, fields[0]!, row), argument(columns, fields[1]!, row))
    const args = this.#args
    for (let i = 0; i < fields.length; i++) args[i] = argument(columns, fields[i]!, row)
    return this.#fn(...args)
  }
}

function argument(columns: Columns, field: number, row: number): unknown {
  const cell = field * columns.capacity + row
  return columns.tags[cell] === TAG_NUMBER ? columns.values[cell] : columns.valueAt(field, row)
}

/** A function over named fields of an object, for records that a map has made. */
export function callOnObject(fn: JobFunction, names: readonly string[], object: unknown): unknown {
  const fields = object as Record<string, unknown> | null | undefined
  return fn(...names.map((name) => fields?.[name]))
}

/** filter over named fields of the columns. */
export class FieldFilter implements Step {
  readonly #caller: FieldCaller

  constructor(fn: JobFunction, fields: readonly number[]) {
    this.#caller = new FieldCaller(fn, fields)
  }

  run(chunk: Chunk): void {
    for (let row = 0; row < chunk.count; ) row = this.#runFrom(chunk, row)
  }

  /** Goes on to the end, or to the row after one whose call threw: `try` once, not once a record. */
  #runFrom(chunk: Chunk, from: number): number {
    const { status, columns } = chunk
    const caller = this.#caller
    let row = from
    try {
      for (; row < chunk.count; row++) {
        if (status[row] === STATUS_OK && !caller.call(columns, row)) status[row] = STATUS_FILTERED
      }
    } catch (error) {
      chunk.failThrown(row, DEAD_FUNCTION, error)
    }
    return row + 1
  }
}

/** filter over whole records: `names` for one that takes named fields of a record that a map has made. */
export class RecordFilter implements Step {
  readonly #fn: JobFunction
  readonly #names: readonly string[] | undefined
  readonly #objects: ObjectSource

  constructor(fn: JobFunction, names: readonly string[] | undefined, objects: ObjectSource) {
    this.#fn = fn
    this.#names = names
    this.#objects = objects
  }

  run(chunk: Chunk, _run: FrameRun): void {
    for (let row = 0; row < chunk.count; row++) {
      if (chunk.status[row] !== STATUS_OK) continue
      try {
        const object = chunk.isChanged ? chunk.objects[row] : this.#objects.objectAt(row)
        const isKept = this.#names === undefined ? this.#fn(object) : callOnObject(this.#fn, this.#names, object)
        if (!isKept) chunk.status[row] = STATUS_FILTERED
      } catch (error) {
        chunk.failThrown(row, DEAD_FUNCTION, error)
      }
    }
  }
}
