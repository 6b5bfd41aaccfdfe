// One call of a function of a process: what it is given, and what it wants done, which is done when it has returned. Runs on a lane;
// one object an operator, filled anew for each call.
// Keeps SPEC: PROCESS-1 (what a process is given), PROCESS-3 (a call takes effect as a whole, or not at all).

import type { ProcessContext } from '../../job/process-spec.ts'
import { packValue, unpackValue } from '../../state/value-codec.ts'
import type { JobFunction } from '../job-function.ts'

/** Times up to here are whole numbers that a table can be sorted by. */
const TIME_MS_LIMIT = Number.MAX_SAFE_INTEGER

/** What a call is about. */
export interface CallSubject {
  key: string
  timeMs: number
  watermarkMs: number
  wallMs: number
  /** The state as it is stored; undefined: none. */
  bytes: Uint8Array | undefined
  /** Timers of each clock have to be later; -Infinity: none has. */
  afterMs: number
  afterWallMs: number
  /** The input has ended: timers are not set any more. */
  isEnded: boolean
}

export interface TimerChange {
  clock: 'event' | 'wall'
  isSet: boolean
  timeMs: number
}

export class ProcessCall {
  /** What was emitted. */
  readonly rows: unknown[] = []
  readonly timerChanges: TimerChange[] = []
  /** The state to be kept; null: none any more; undefined: as it was. */
  newBytes: Uint8Array | null | undefined
  readonly #context: ProcessContext
  readonly #initial: JobFunction | undefined
  readonly #hasTimers: boolean
  #subject: CallSubject | undefined

  /** `initial`: makes the state of a key that has none. */
  constructor(initial: JobFunction | undefined, hasTimers: boolean) {
    this.#initial = initial
    this.#hasTimers = hasTimers
    this.#context = this.#newContext()
  }

  /** Calls a function with a record or a timer. Throws what it throws; then nothing is to be done. */
  run(fn: JobFunction, given: unknown, subject: CallSubject): void {
    this.rows.length = 0
    this.timerChanges.length = 0
    this.newBytes = undefined
    this.#subject = subject
    try {
      const result = fn(given, this.#context)
      if (result instanceof Promise) {
        // Whatever becomes of it is of a call that is over, and has been refused.
        result.catch(() => undefined)
        throw new TypeError('a function of process must not be async: what it does later is not part of its record')
      }
    } finally {
      this.#subject = undefined
    }
  }

  #newContext(): ProcessContext {
    const open = (): CallSubject => this.#open()
    return {
      get key() {
        return open().key
      },
      get timeMs() {
        return open().timeMs
      },
      get watermarkMs() {
        return open().watermarkMs
      },
      get wallMs() {
        return open().wallMs
      },
      state: {
        get: () => this.#state(),
        set: (value) => {
          open()
          if (value === undefined) throw new TypeError('a state is a value; use delete() to have none')
          this.newBytes = new Uint8Array(packValue(value))
        },
        delete: () => {
          open()
          this.newBytes = null
        },
      },
      timers: {
        at: (timeMs) => this.#change('event', true, timeMs),
        cancel: (timeMs) => this.#change('event', false, timeMs),
        atWall: (timeMs) => this.#change('wall', true, timeMs),
        cancelWall: (timeMs) => this.#change('wall', false, timeMs),
      },
      emit: (row) => {
        open()
        if (row === undefined) throw new TypeError('a row must be given to emit')
        this.rows.push(row)
      },
    }
  }

  #open(): CallSubject {
    if (this.#subject === undefined) throw new TypeError('a context is used after its function has returned')
    return this.#subject
  }

  #state(): unknown {
    const { bytes: stored } = this.#open()
    const bytes = this.newBytes === undefined ? stored : this.newBytes
    if (bytes !== undefined && bytes !== null) return unpackValue(bytes)
    // As it will be when it comes back: keys may be given the same object.
    const initial = this.#initial?.()
    return typeof initial === 'object' && initial !== null ? unpackValue(packValue(initial)) : initial
  }

  #change(clock: 'event' | 'wall', isSet: boolean, given: number): void {
    const { afterMs, afterWallMs, isEnded } = this.#open()
    if (!this.#hasTimers) throw new TypeError('a process without onTimer has no timers')
    const timeMs = Math.ceil(given)
    if (!(Math.abs(timeMs) <= TIME_MS_LIMIT)) throw new RangeError(`${given} is no time for a timer`)
    const lastMs = clock === 'event' ? afterMs : afterWallMs
    if (isSet && timeMs <= lastMs) {
      throw new RangeError(`onTimer must set timers later than its own: ${timeMs} is not after ${lastMs}`)
    }
    if (isSet && isEnded) return
    this.timerChanges.push({ clock, isSet, timeMs })
  }
}
