// A task: the state, the clock and the counts of one partition. Owned by one lane for its life.
// Runs on a lane.
// Keeps SPEC: R1 (watermark), R6 / COUNT-1 (in + expanded = accepted + late + dead + filtered), LANE-4 (position).

import { noCounts } from '../core/counts.ts'
import { type ErrorData, MillraceError } from '../core/errors.ts'
import type { LaneStats, TaskClock, TaskCounts, TaskPosition } from '../core/message.ts'
import { SourceClocks } from '../core/source-clocks.ts'
import type { SlabTable, TaskStore } from '../state/contract.ts'
import type { MemoryBudget } from '../state/memory-budget.ts'
import { createSlabTable } from '../state/slab-table.ts'

/** A table of an operator: see SlabTable. */
export interface TableLayout {
  /** The name of the operator. */
  operator: string
  operatorId: number
  width: number
  isWindowed: boolean
  /** Where others have the end of a window, its rows have a number that is no time. */
  isNumbered?: boolean
}

export interface TaskOptions {
  taskId: string
  /** Its sub-topology. */
  sub: number
  partition: number
  attempt: number
  instanceId: string
  /** The topic it reads. */
  source: string
  planHash: string
  store: TaskStore | undefined
  /** Of a task that reads a repartition topic: the partitions that records came from first. */
  sourcePartitionCount: number | undefined
}

/**
 * A task from `open` to `close`. Its clock and place are set by `start` and moved by the operators.
 *
 * @example
 * const task = new Task({ taskId: '0_3', sub: 0, partition: 3, attempt, instanceId, source, planHash, store, sourcePartitionCount })
 * task.start(position, inputOffset)
 */
export class Task {
  readonly taskId: string
  readonly partition: number
  /** Grows when the task is resumed in a later attempt. */
  attempt: number
  /** Undefined for stateless jobs, which have no changelog either. */
  readonly store: TaskStore | undefined
  /** Of a task that reads a repartition topic. */
  readonly clocks: SourceClocks | undefined
  readonly sub: number
  readonly #instanceId: string
  readonly #source: string
  readonly #planHash: string
  /** Of the stateful operator, that of its rows first; none before `openTables` and for stateless jobs. */
  readonly tables: SlabTable[] = []
  watermarkMs = Number.NEGATIVE_INFINITY
  eventTimeMsMax = Number.NEGATIVE_INFINITY
  inputOffset = 0
  isEnded = false
  /** A running aggregate gives its final rows once. */
  hasEmittedEnd = false
  isStarted = false
  /** The input is quiet; a repartition topic is told. */
  isIdle = false
  /** What the partitions of the repartition topic were told last; NaN: they are to be told in any case. */
  toldWatermarkMs = Number.NEGATIVE_INFINITY
  isToldIdle = false
  /** Something happened since the last seal. */
  isTouched = false
  /** The last sealed epochs that are not committed yet, ascending. */
  readonly sealedEpochs: number[] = []
  /** Rows that changed since the last tick, by `every` interval; undefined: not known, ask the rows. */
  readonly changedRows: (number[] | undefined)[] = []
  /** What the request being served has added. */
  requestCounts: TaskCounts = noCounts()
  /** Result rows of this request that a function of the job refused. */
  deadResults = 0
  lastDead: ErrorData | undefined
  #counts: TaskCounts = noCounts()

  constructor(options: TaskOptions) {
    this.taskId = options.taskId
    this.sub = options.sub
    this.partition = options.partition
    this.attempt = options.attempt
    this.#instanceId = options.instanceId
    this.#source = options.source
    this.#planHash = options.planHash
    this.store = options.store
    this.clocks =
      options.sourcePartitionCount === undefined ? undefined : new SourceClocks(options.sourcePartitionCount)
  }

  /** Takes up the place and the clock of a restored position; undefined: a task that has none, of which `clock` may be known. */
  start(position: TaskPosition | undefined, inputOffset: number, clock: TaskClock | undefined = position): void {
    this.inputOffset = inputOffset
    this.isStarted = true
    if (clock !== undefined) {
      this.watermarkMs = clock.watermarkMs
      this.eventTimeMsMax = clock.eventTimeMsMax
      // It was told when it was committed.
      this.toldWatermarkMs = clock.watermarkMs
    }
    if (position === undefined) return
    this.isEnded = position.isEnded
    this.hasEmittedEnd = position.isEnded
    this.clocks?.restore(position.clocks ?? [], position.watermarkMs)
    this.#counts = { ...position.counts }
  }

  /** Rows of the stateful operator. */
  get table(): SlabTable | undefined {
    return this.tables[0]
  }

  /** Makes the tables of the operator over the store, which is restored. */
  openTables(layouts: readonly TableLayout[], memoryBytesMax: MemoryBudget): void {
    const { store } = this
    if (store === undefined) throw new Error(`task ${this.taskId} has no store`)
    this.tables.push(...layouts.map((layout) => createSlabTable({ ...layout, store, memoryBytesMax })))
  }

  /** Opens a request. */
  beginRequest(): void {
    this.requestCounts = noCounts()
    this.deadResults = 0
    this.lastDead = undefined
  }

  /** Closes a request: its counts join those of the task. Throws MR6005 when they do not add up. */
  endRequest(): void {
    const added = this.requestCounts
    const { accepted, late, dead, filtered, expanded } = added
    if (added.in + expanded !== accepted + late + dead + filtered) {
      throw new MillraceError('MR6005', { task: this.taskId, in: added.in, expanded, accepted, late, dead, filtered })
    }
    const counts = this.#counts
    counts.in += added.in
    counts.expanded += expanded
    counts.accepted += accepted
    counts.late += late
    counts.dead += dead
    counts.filtered += filtered
    counts.refused += added.refused
    counts.results += added.results
  }

  /** What it holds in memory. */
  stats(): LaneStats['tasks'][number] {
    const { tables, store, taskId } = this
    const sum = (of: (table: SlabTable) => number): number => tables.reduce((total, table) => total + of(table), 0)
    return {
      taskId,
      keyCount: this.table?.keyCount ?? 0,
      rowCount: sum(({ rowCount }) => rowCount),
      evictedRowCount: sum(({ evictedRowCount }) => evictedRowCount),
      stateBytes: sum(({ bytes }) => bytes),
      unflushedBytes: store?.unflushedBytes ?? 0,
    }
  }

  /** The place of the task now, as the marker of `epoch` keeps it. */
  position(epoch: number): TaskPosition {
    return {
      taskId: this.taskId,
      epoch,
      instanceId: this.#instanceId,
      inputOffset: this.inputOffset,
      watermarkMs: this.watermarkMs,
      eventTimeMsMax: this.eventTimeMsMax,
      isEnded: this.isEnded,
      source: this.#source,
      planHash: this.#planHash,
      counts: { ...this.#counts },
      ...(this.clocks === undefined ? {} : { clocks: this.clocks.all() }),
    }
  }
}
