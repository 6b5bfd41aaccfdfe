// map and flatMap: records become what a function of the job makes of them.
// Runs on a lane.
// Keeps SPEC: ERR-3 (a function that throws makes its record dead), COUNT-1 (outputs of flatMap are counted as expanded).

import { DEAD_FUNCTION, STATUS_FILTERED, STATUS_OK } from '../../core/record-status.ts'
import { Chunk } from '../chunk.ts'
import type { FrameRun, ObjectSource, Step } from '../frame-run.ts'
import type { JobFunction } from '../job-function.ts'
import { callOnObject, FieldCaller } from './filter.ts'

/** map over named fields of the columns: the record itself is never decoded. */
export class FieldMap implements Step {
  readonly #caller: FieldCaller

  constructor(fn: JobFunction, fields: readonly number[]) {
    this.#caller = new FieldCaller(fn, fields)
  }

  run(chunk: Chunk): void {
    for (let row = 0; row < chunk.count; row++) {
      if (chunk.status[row] !== STATUS_OK) continue
      try {
        chunk.objects[row] = this.#caller.call(chunk.columns, row)
      } catch (error) {
        chunk.failThrown(row, DEAD_FUNCTION, error)
      }
    }
    chunk.isChanged = true
  }
}

/** map over whole records, or over named fields of a record that an earlier map has made. */
export class RecordMap implements Step {
  readonly #fn: JobFunction
  readonly #names: readonly string[] | undefined
  readonly #objects: ObjectSource

  constructor(fn: JobFunction, names: readonly string[] | undefined, objects: ObjectSource) {
    this.#fn = fn
    this.#names = names
    this.#objects = objects
  }

  run(chunk: Chunk): void {
    for (let row = 0; row < chunk.count; row++) {
      if (chunk.status[row] !== STATUS_OK) continue
      try {
        const object = chunk.isChanged ? chunk.objects[row] : this.#objects.objectAt(row)
        chunk.objects[row] = this.#names === undefined ? this.#fn(object) : callOnObject(this.#fn, this.#names, object)
      } catch (error) {
        chunk.failThrown(row, DEAD_FUNCTION, error)
      }
    }
    chunk.isChanged = true
  }
}

/**
 * flatMap: the outputs of all records go, in order, through chunks of their own. Records that ended before come along,
 * so that what follows (watermark, dead letters) sees everything in the order of the partition.
 */
export class FlatMap implements Step {
  readonly #fn: JobFunction
  readonly #objects: ObjectSource
  /** The chunk that what follows sees. */
  readonly outputs: Chunk
  readonly #rest: readonly Step[]

  /** `makeRest`: all that follows flatMap in the job, over the chunk of its outputs. */
  constructor(
    fn: JobFunction,
    objects: ObjectSource,
    isCarried: boolean,
    makeRest: (outputs: Chunk) => readonly Step[],
  ) {
    this.#fn = fn
    this.#objects = objects
    this.outputs = new Chunk([], isCarried)
    this.#rest = makeRest(this.outputs)
  }

  run(chunk: Chunk, run: FrameRun): void {
    this.outputs.reset()
    for (let row = 0; row < chunk.count; row++) {
      const outputs = chunk.status[row] === STATUS_OK ? this.#call(chunk, row) : undefined
      if (outputs === undefined || outputs.length === 0) this.#pass(chunk, row, run)
      else this.#expand(chunk, row, outputs, run)
    }
    this.#flush(run)
  }

  /** The outputs of a record; undefined when the function threw and the record is dead. */
  #call(chunk: Chunk, row: number): readonly unknown[] | undefined {
    try {
      const outputs = this.#fn(chunk.isChanged ? chunk.objects[row] : this.#objects.objectAt(row))
      if (!Array.isArray(outputs)) throw new TypeError('flatMap must give an array')
      if (outputs.length === 0) chunk.status[row] = STATUS_FILTERED
      return outputs
    } catch (error) {
      chunk.failThrown(row, DEAD_FUNCTION, error)
      return undefined
    }
  }

  #pass(chunk: Chunk, row: number, run: FrameRun): void {
    if (this.outputs.count === this.outputs.capacity) this.#flush(run)
    this.outputs.copyRow(chunk, row)
  }

  #expand(chunk: Chunk, row: number, outputs: readonly unknown[], run: FrameRun): void {
    run.task.tally.counts.expanded += outputs.length - 1
    for (const output of outputs) {
      if (this.outputs.count === this.outputs.capacity) this.#flush(run)
      const to = this.outputs.copyRow(chunk, row)
      this.outputs.objects[to] = output
    }
  }

  #flush(run: FrameRun): void {
    this.outputs.isChanged = true
    if (this.outputs.count > 0) for (const step of this.#rest) step.run(this.outputs, run)
    this.outputs.reset()
  }
}
