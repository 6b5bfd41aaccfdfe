// process: functions of the job for the records of a key and for its timers, with state by key; what they emit are the records of the
// chain behind. Runs on a lane, on the free path.
// Keeps SPEC: PROCESS-2 (when timers come), PROCESS-3 (a call as a whole), PROCESS-4 (times of rows), PROCESS-5, PROCESS-6, PROCESS-7
// (wall timers), R3 (what is due comes before the next record), R4 (records after the end are late).

/*
 *   watermark   100                                    250
 *               ●──────────── 120 ──────── 180 ─────────●── record      event time
 *                             timer a      timer b
 *
 * The record that moves the watermark to 250 makes both timers come before it, each as if the watermark had moved to its time alone: a
 * is at 120, sees the state that is there at 120, and its rows have the time 120 and a clock of 120. So none is late behind.
 */
import { DEAD_FUNCTION, STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState, TableLayout } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, ObjectSource } from '../frame-run.ts'
import type { JobFunction } from '../job-function.ts'
import { operatorIdOf } from '../operator-id.ts'
import type { DeadLetters } from './dead-letters.ts'
import { type Derived, noBytes, toTableKey } from './derived.ts'
import { KEYED_CELLS_SLOTS, KeyedCells } from './keyed-cells.ts'
import { type CallSubject, ProcessCall } from './process-call.ts'
import type { StatefulStep } from './stateful-step.ts'
import { Timers } from './timers.ts'

export interface ProcessOptions {
  name: string
  onRecord: JobFunction
  onTimer: JobFunction | undefined
  state: JobFunction | undefined
  /** +Infinity: states stay. */
  ttlMs: number
  outOfOrderMs: number
  objects: ObjectSource
  deadLetters: DeadLetters
  /** Wall clock, ms since the epoch. */
  nowMs: () => number
  /** The chain behind it, and its records. */
  next: { chain: number; derived: Derived }
  /** Its tables in a task. */
  tables: (task: ChainState) => SlabTable[]
}

/** The tables of a process: its states, when each is gone, its timers by event time and by the clock. */
export function processTables(name: string, hasTtl: boolean, hasTimers: boolean): TableLayout[] {
  const byTime = (suffix: string): TableLayout => {
    return { operator: name, operatorId: operatorIdOf(`${name}~${suffix}`), width: 1, isWindowed: true }
  }
  return [
    { operator: name, operatorId: operatorIdOf(name), width: KEYED_CELLS_SLOTS, isWindowed: false },
    ...(hasTtl ? [byTime('deadlines')] : []),
    ...(hasTimers ? [byTime('timers'), byTime('wall')] : []),
  ]
}

/** What the operator knows of one task. */
interface ProcessTask {
  states: KeyedCells
  timers: Timers | undefined
  wallTimers: Timers | undefined
  /** All timers up to here have come. */
  nowMs: number
}

const NO_TIMER = Number.NEGATIVE_INFINITY
const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

export class Process implements StatefulStep {
  readonly #options: ProcessOptions
  readonly #tasks = new WeakMap<ChainState, ProcessTask>()
  readonly #call: ProcessCall
  readonly #key = noBytes()

  constructor(options: ProcessOptions) {
    this.#options = options
    this.#call = new ProcessCall(options.state, options.onTimer !== undefined)
  }

  open(task: ChainState): void {
    const { tables, ttlMs, onTimer } = this.#options
    const [states, ...others] = tables(task) as [SlabTable, ...SlabTable[]]
    const index = ttlMs === Number.POSITIVE_INFINITY ? undefined : others.shift()
    const [timers, wallTimers] = onTimer === undefined ? [] : others.map((table) => new Timers(table, states))
    this.#tasks.set(task, {
      states: new KeyedCells(states, index, ttlMs),
      timers,
      wallTimers,
      nowMs: task.watermarkMs,
    })
  }

  wallTimerMs(task: ChainState): number {
    return this.#tasks.get(task)?.wallTimers?.firstMs ?? Number.POSITIVE_INFINITY
  }

  run(chunk: Chunk, run: FrameRun): void {
    const { task } = run
    const { outOfOrderMs } = this.#options
    const { status, timesMs, carried } = chunk
    const own = this.#tasks.get(task)!
    for (let row = 0; row < chunk.count; row++) {
      const timeMs = timesMs[row]!
      const clockMs = carried?.watermarksMs[row] ?? timeMs - outOfOrderMs
      if (clockMs > task.watermarkMs) {
        task.watermarkMs = clockMs
        this.#fire(run, own)
      }
      if (timeMs > task.eventTimeMsMax) task.eventTimeMsMax = timeMs
      if (status[row] !== STATUS_OK) continue
      if (task.watermarkMs === Number.POSITIVE_INFINITY) status[row] = STATUS_LATE
      else {
        this.#take(chunk, row, run, own)
        // A timer may have been set for a time that has passed.
        this.#fire(run, own)
      }
    }
  }

  /** Event timers that are due, then those of the clock when it was looked at; then states that are gone by now. */
  advance(run: FrameRun): void {
    const { task, wallMs } = run
    const own = this.#tasks.get(task)!
    this.#fire(run, own)
    if (task.watermarkMs === Number.POSITIVE_INFINITY) own.wallTimers?.clear()
    else if (wallMs !== undefined) this.#fireWall(run, own, wallMs)
    own.states.forget(task.watermarkMs)
  }

  #take(chunk: Chunk, row: number, run: FrameRun, own: ProcessTask): void {
    const { objects, onRecord, nowMs } = this.#options
    const { view, task } = run
    const at = chunk.at[row]!
    const timeMs = chunk.timesMs[row]!
    const { table } = own.states
    const keyId = table.internKey(view.bytes, view.keyStart(at), view.keyBytes(at))
    try {
      const subject = this.#subject(own, task, keyId, timeMs, nowMs())
      this.#call.run(onRecord, chunk.isChanged ? chunk.objects[row] : objects.objectAt(row), subject)
    } catch (error) {
      chunk.failThrown(row, DEAD_FUNCTION, error)
      return
    }
    this.#apply(run, own, keyId, timeMs)
  }

  /** Timers that the watermark has reached: by time, then by key. */
  #fire(run: FrameRun, own: ProcessTask): void {
    const { watermarkMs } = run.task
    const { timers } = own
    for (;;) {
      const timerMs = timers?.firstMs ?? Number.POSITIVE_INFINITY
      if (timers === undefined || timerMs === Number.POSITIVE_INFINITY || timerMs > watermarkMs) break
      for (const keyId of timers.take(timerMs)) {
        own.nowMs = Math.max(own.nowMs, timerMs)
        this.#comes(run, own, keyId, 'event', timerMs, Math.ceil(own.nowMs), this.#options.nowMs())
      }
    }
    own.nowMs = watermarkMs
  }

  /** Timers that the clock has reached. They may set others for event times that have passed. */
  #fireWall(run: FrameRun, own: ProcessTask, wallMs: number): void {
    const { wallTimers } = own
    if (wallTimers === undefined) return
    while (wallTimers.firstMs <= wallMs) {
      const timerMs = wallTimers.firstMs
      for (const keyId of wallTimers.take(timerMs)) {
        const timeMs = Math.max(run.task.eventTimeMsMax, Math.ceil(own.nowMs))
        this.#comes(run, own, keyId, 'wall', timerMs, timeMs, wallMs)
        this.#fire(run, own)
      }
    }
  }

  #comes(
    run: FrameRun,
    own: ProcessTask,
    keyId: number,
    clock: 'event' | 'wall',
    timerMs: number,
    timeMs: number,
    wallMs: number,
  ): void {
    const subject = this.#subject(own, run.task, keyId, timeMs, wallMs)
    if (clock === 'event') subject.afterMs = timerMs
    else subject.afterWallMs = timerMs
    try {
      this.#call.run(this.#options.onTimer!, { timeMs: timerMs, clock }, subject)
    } catch (error) {
      this.#bury(run, own, keyId, { timeMs: timerMs, clock }, timeMs, error)
      return
    }
    this.#apply(run, own, keyId, timeMs)
  }

  #subject(own: ProcessTask, task: ChainState, keyId: number, timeMs: number, wallMs: number): CallSubject {
    const { keyArena, keyStart, keyBytes } = keyOf(own.states.table, keyId)
    return {
      key: textDecoder.decode(keyArena.subarray(keyStart, keyStart + keyBytes)),
      timeMs,
      watermarkMs: own.nowMs,
      wallMs,
      bytes: own.states.get(keyId, own.nowMs)?.[0] as Uint8Array | undefined,
      afterMs: NO_TIMER,
      afterWallMs: NO_TIMER,
      isEnded: task.watermarkMs === Number.POSITIVE_INFINITY,
    }
  }

  /** Does what the call that has returned wanted done. */
  #apply(run: FrameRun, own: ProcessTask, keyId: number, timeMs: number): void {
    const { rows, timerChanges, newBytes } = this.#call
    const { states } = own
    if (newBytes === null) states.delete(keyId)
    // A record that is out of order is not written before the watermark.
    else if (newBytes !== undefined) states.set(keyId, [newBytes], Math.max(timeMs, own.nowMs))
    for (const { clock, isSet, timeMs: timerMs } of timerChanges) {
      const timers = clock === 'event' ? own.timers! : own.wallTimers!
      if (isSet) timers.set(keyId, timerMs)
      else timers.cancel(keyId, timerMs)
    }
    if (rows.length === 0) return
    const { chain, derived } = this.#options.next
    const next = run.task.home!.chains[chain]!
    const key = this.#key
    toTableKey(key, states.table, keyId)
    const clockMs = Math.max(next.watermarkMs, own.nowMs)
    for (const row of rows) derived.add(run, next, key, timeMs, clockMs, row)
  }

  /** A timer that the function threw on is gone, and is a dead letter. */
  #bury(run: FrameRun, own: ProcessTask, keyId: number, timer: object, timeMs: number, error: unknown): void {
    const { deadLetters, name } = this.#options
    const { keyArena, keyStart, keyBytes } = keyOf(own.states.table, keyId)
    const key = keyArena.slice(keyStart, keyStart + keyBytes)
    const id = `${name}:${textDecoder.decode(key)}`
    deadLetters.writeResult(run, name, id, key, timer, timeMs, error)
  }
}

function keyOf(table: SlabTable, keyId: number): { keyArena: Uint8Array; keyStart: number; keyBytes: number } {
  return { keyArena: table.keyArena, keyStart: table.keyStart(keyId), keyBytes: table.keyBytes(keyId) }
}
