// The rows of an aggregate that go on as records, into the chain behind it. Runs on a lane.
// Keeps SPEC: ROWS-1 (final rows of windows, each row of a running result), R3 (each has the clock of its own place).

import type { RowParts } from '../../codec/encode-row.ts'
import type { FrameRun } from '../frame-run.ts'
import { type Derived, noBytes } from './derived.ts'
import { applyFunctions, DROPPED, type RowFunction } from './row-functions.ts'

/** The chain behind an aggregate. */
export interface RowsChainOptions {
  /** Its number. */
  chain: number
  derived: Derived
  /** Rows come in the order of their times: each is a clock of its own. Others may be of any time before the clock. */
  isOrdered: boolean
}

export class RowsChain {
  readonly #options: RowsChainOptions
  /** What lies between the aggregate and the chain. */
  readonly #functions: readonly RowFunction[]
  readonly #key = noBytes()

  constructor(options: RowsChainOptions, functions: readonly RowFunction[]) {
    this.#options = options
    this.#functions = functions
  }

  /** Passes a row on, with the key of `parts`. Gives what a function of the job threw, if one did. */
  pass(run: FrameRun, object: unknown, { keySource, keyStart, keyBytes }: RowParts, timeMs: number): unknown {
    let value: unknown
    try {
      value = applyFunctions(this.#functions, object, false)
    } catch (error) {
      return error ?? new Error('a function of the job threw nothing')
    }
    if (value === DROPPED) return undefined
    const { chain, derived, isOrdered } = this.#options
    const state = run.task.home!.chains[chain]!
    const key = this.#key
    key.bytes = keySource
    key.start = keyStart
    key.length = keyBytes
    const clockMs = isOrdered ? timeMs : run.task.watermarkMs
    // At the end of the input the rows come before it.
    const watermarkMs = Number.isFinite(clockMs) ? Math.max(state.watermarkMs, clockMs) : state.watermarkMs
    // A key may have been left behind for as long as it wants: its row is of the time when it came about.
    const ownMs = isOrdered || !Number.isFinite(watermarkMs) ? timeMs : Math.max(timeMs, Math.ceil(watermarkMs))
    derived.add(run, state, key, ownMs, watermarkMs, value)
    return undefined
  }
}
