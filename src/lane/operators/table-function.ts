// filter and map of the rows of a table: a row that a filter drops is as one that is no more. Runs on a lane, on the free path.
// Keeps SPEC: TABLE-4 (what deletes a row passes every function), ERR-3 (a function that throws makes its record dead).

import { DEAD_FUNCTION, STATUS_OK } from '../../core/record-status.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, ObjectSource, Step } from '../frame-run.ts'
import { TOMBSTONE } from './derived.ts'
import { applyFunctions, DROPPED, type RowFunction } from './row-functions.ts'

export class TableFunction implements Step {
  readonly #functions: readonly RowFunction[]
  readonly #objects: ObjectSource

  constructor(fn: RowFunction, objects: ObjectSource) {
    this.#functions = [fn]
    this.#objects = objects
  }

  run(chunk: Chunk, _run: FrameRun): void {
    for (let row = 0; row < chunk.count; row++) {
      if (chunk.status[row] !== STATUS_OK) continue
      const object = rowOf(chunk, row, this.#objects)
      try {
        const value = object === TOMBSTONE ? TOMBSTONE : applyFunctions(this.#functions, object, false)
        chunk.objects[row] = value === DROPPED ? TOMBSTONE : value
      } catch (error) {
        chunk.failThrown(row, DEAD_FUNCTION, error)
      }
    }
    chunk.isChanged = true
  }
}

/** What a record of a table makes of the row of its key: the new row, or TOMBSTONE. */
export function rowOf(chunk: Chunk, row: number, objects: ObjectSource): unknown {
  if (chunk.isChanged) return chunk.objects[row]
  return chunk.isTombstone(row) ? TOMBSTONE : objects.objectAt(row)
}
