// merge: the records of two streams as one. Runs on a lane, on the free path.
// Keeps SPEC: MERGE-1 (each record once, with its key, time and headers, judged by the clock of both).

import { STATUS_OK } from '../../core/record-status.ts'
import type { ChainState } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, ObjectSource, Step } from '../frame-run.ts'
import { type Derived, noBytes, toRecordKey } from './derived.ts'
import { type Meeting, moveSide } from './meeting.ts'

export class Merge implements Meeting {
  readonly sides: readonly [MergeSide, MergeSide]
  readonly delayMs = 0

  /** `chain`: the number of the merged one; `outOfOrderMs` and `objects`: of each stream. */
  constructor(
    chain: number,
    derived: Derived,
    outOfOrderMs: readonly [number, number],
    objects: readonly [ObjectSource, ObjectSource],
  ) {
    this.sides = [
      new MergeSide(0, chain, derived, outOfOrderMs[0], objects[0]),
      new MergeSide(1, chain, derived, outOfOrderMs[1], objects[1]),
    ]
  }

  advance(): void {}
}

class MergeSide implements Step {
  readonly #side: 0 | 1
  readonly #chain: number
  readonly #derived: Derived
  readonly #outOfOrderMs: number
  readonly #objects: ObjectSource
  readonly #key = noBytes()
  readonly #headers = noBytes()

  constructor(side: 0 | 1, chain: number, derived: Derived, outOfOrderMs: number, objects: ObjectSource) {
    this.#side = side
    this.#chain = chain
    this.#derived = derived
    this.#outOfOrderMs = outOfOrderMs
    this.#objects = objects
  }

  run(chunk: Chunk, run: FrameRun): void {
    const state = run.task.home!.chains[this.#chain]!
    const { status, timesMs, carried } = chunk
    for (let row = 0; row < chunk.count; row++) {
      const timeMs = timesMs[row]!
      const ownMs = carried?.watermarksMs[row] ?? timeMs - this.#outOfOrderMs
      const watermarkMs = moveSide(run.task, state, this.#side, timeMs, ownMs)
      if (status[row] === STATUS_OK) this.#pass(chunk, row, run, state, watermarkMs)
    }
    this.#derived.flush(run, state)
  }

  #pass(chunk: Chunk, row: number, run: FrameRun, state: ChainState, watermarkMs: number): void {
    const { view } = run
    const at = chunk.at[row]!
    const key = this.#key
    const headers = this.#headers
    toRecordKey(key, chunk, row, run)
    headers.bytes = view.bytes
    headers.start = view.headersStart(at)
    headers.length = view.headersBytes(at)
    const object = chunk.isChanged ? chunk.objects[row] : this.#objects.objectAt(row)
    this.#derived.add(run, state, key, chunk.timesMs[row]!, watermarkMs, object, headers)
  }
}
