// After a map: the fields that the aggregates need, taken from the new objects into columns of their own.
// Runs on a lane, on the free path.
// Keeps SPEC: PATH-1 (the fast and the free path fill the same columns).

import type { Columns } from '../../core/columns.ts'
import { STATUS_OK } from '../../core/record-status.ts'
import type { Chunk } from '../chunk.ts'
import type { Step } from '../frame-run.ts'

export class ObjectFields implements Step {
  readonly #columns: Columns

  constructor(columns: Columns) {
    this.#columns = columns
  }

  run(chunk: Chunk): void {
    const columns = this.#columns
    columns.clear(chunk.count)
    for (let row = 0; row < chunk.count; row++) {
      if (chunk.status[row] !== STATUS_OK) continue
      const object = chunk.objects[row] as Record<string, unknown> | null | undefined
      for (let field = 0; field < columns.fields.length; field++) {
        columns.setValue(field, row, object?.[columns.fields[field]!])
      }
    }
  }
}
