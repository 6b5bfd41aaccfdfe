// What joins with tables have in common: the rows that their function makes go on as records. Runs on a lane.
// Keeps SPEC: ERR-3 (a function that throws makes a dead result, and its record is what it was).

import type { ChainState } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import type { JobFunction } from '../job-function.ts'
import type { DeadLetters } from './dead-letters.ts'
import { type Derived, noBytes, toRecordKey } from './derived.ts'

export interface JoinRowsOptions {
  /** Of the operator. */
  name: string
  /** Number of the chain behind it. */
  chain: number
  derived: Derived
  fn: JobFunction
  deadLetters: DeadLetters
}

const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** What the function of a join makes of two sides. Throws what it throws, and where it gives nothing. */
export function joinedRow(fn: JobFunction, left: unknown, right: unknown): unknown {
  const row = fn(left as never, right as never)
  if (row === undefined) throw new TypeError('the function of a join must give a row')
  return row
}

export class JoinRows {
  readonly key = noBytes()
  readonly #options: JoinRowsOptions

  constructor(options: JoinRowsOptions) {
    this.#options = options
  }

  /** The state of the chain behind the operator. */
  stateOf(run: FrameRun): ChainState {
    return run.task.home!.chains[this.#options.chain]!
  }

  /** What is given next has the key of this record. */
  keyOf(chunk: Chunk, row: number, run: FrameRun): void {
    toRecordKey(this.key, chunk, row, run)
  }

  /** The row of two sides; undefined for one that there is not. */
  give(run: FrameRun, state: ChainState, left: unknown, right: unknown, timeMs: number, watermarkMs: number): void {
    const { fn, derived } = this.#options
    let object: unknown
    try {
      object = joinedRow(fn, left, right)
    } catch (error) {
      this.#bury(run, left, right, timeMs, error)
      return
    }
    derived.add(run, state, this.key, timeMs, watermarkMs, object)
  }

  /** A record as it is, without a function: TOMBSTONE. */
  pass(run: FrameRun, state: ChainState, object: unknown, timeMs: number, watermarkMs: number): void {
    this.#options.derived.add(run, state, this.key, timeMs, watermarkMs, object)
  }

  flush(run: FrameRun, state: ChainState): void {
    this.#options.derived.flush(run, state)
  }

  #bury(run: FrameRun, left: unknown, right: unknown, timeMs: number, error: unknown): void {
    const { name, deadLetters } = this.#options
    const { bytes, start, length } = this.key
    const key = bytes.slice(start, start + Math.max(0, length))
    const value = { left: left ?? null, right: right ?? null }
    const id = `${name}:${textDecoder.decode(key)}`
    deadLetters.writeResult(run, name, id, key, value, timeMs, error)
  }
}
