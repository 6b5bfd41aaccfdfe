// A task: the state, the clock and the counts of one partition. Owned by one lane for its life.
// Runs on a lane.
// Keeps SPEC: R1 (watermark), R6 / COUNT-1 (in + expanded = accepted + late + dead + filtered), LANE-4 (position).

import { addCounts, noCounts } from '../core/counts.ts'
import { MillraceError } from '../core/errors.ts'
import type { ChainClock, FeedPosition, LaneStats, TaskClock, TaskCounts, TaskPosition } from '../core/message.ts'
import { SourceClocks } from '../core/source-clocks.ts'
import type { SlabTable, TaskStore } from '../state/contract.ts'
import type { MemoryBudget } from '../state/memory-budget.ts'
import { createSlabTable } from '../state/slab-table.ts'
import { ChainState, newTally, type TableLayout } from './chain-state.ts'

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
export class Task extends ChainState {
  /** Grows when the task is resumed in a later attempt. */
  attempt: number
  /** Undefined for tasks without state of their own, which have no changelog either. */
  readonly store: TaskStore | undefined
  readonly sub: number
  readonly #instanceId: string
  readonly #source: string
  readonly #planHash: string
  inputOffset = 0
  isStarted = false
  /** Something happened since the last seal. */
  isTouched = false
  /** The last sealed epochs that are not committed yet, ascending. */
  readonly sealedEpochs: number[] = []
  /** Of a home: the chains of its unit, by number; those that begin at the topics of its tasks are not there. */
  chains: (ChainState | undefined)[] = []
  /** Of a home: the tables of each chain of its unit. */
  chainTables: SlabTable[][] = []
  /** Of a home: the other tasks, by sub-topology. */
  readonly members = new Map<number, Task>()
  /** Of a home: where the other tasks were when it was opened, by sub-topology. */
  readonly #feeds = new Map<number, FeedPosition>()
  #counts: TaskCounts = noCounts()

  constructor(options: TaskOptions) {
    const { taskId, partition, sourcePartitionCount } = options
    super(taskId, partition, sourcePartitionCount === undefined ? undefined : new SourceClocks(sourcePartitionCount))
    this.sub = options.sub
    this.attempt = options.attempt
    this.#instanceId = options.instanceId
    this.#source = options.source
    this.#planHash = options.planHash
    this.store = options.store
  }

  /** Takes up the place and the clock of a restored position; undefined: a task that has none, of which `clock` may be known. */
  start(
    position: TaskPosition | undefined,
    inputOffset: number,
    clock: TaskClock | ChainClock | undefined = position,
  ): void {
    this.inputOffset = inputOffset
    this.isStarted = true
    // It was told when it was committed.
    if (clock !== undefined) this.restoreClock({ isEnded: false, ...clock })
    if (position === undefined) return
    this.clocks?.restore(position.clocks ?? [], position.watermarkMs)
    this.#counts = { ...position.counts }
    for (const [sub, feed] of Object.entries(position.feeds ?? {})) this.#feeds.set(Number(sub), feed)
    for (const [number, clock] of (position.chains ?? []).entries()) {
      if (clock !== null) this.chains[number]?.restoreClock(clock)
    }
  }

  /** Makes the tables of a home over the store, which is restored; `layouts`: by chain. */
  openTables(layouts: readonly (readonly TableLayout[])[], memoryBytesMax: MemoryBudget): void {
    const { store } = this
    if (store === undefined) throw new Error(`task ${this.taskId} has no store`)
    this.chainTables = layouts.map((ofChain) =>
      ofChain.map((layout) => createSlabTable({ ...layout, store, memoryBytesMax })),
    )
    for (const [number, chain] of this.chains.entries())
      if (chain !== undefined) chain.tables = this.chainTables[number]!
  }

  /** All tables of a home. */
  get allTables(): SlabTable[] {
    return this.chainTables.flat()
  }

  /** Opens a request; `chains`: all that its records may go through. */
  beginRequest(): void {
    const tally = newTally()
    this.tally = tally
    if (this.home === undefined) return
    this.home.tally = tally
    for (const chain of this.home.chains) if (chain !== undefined) chain.tally = tally
  }

  /** Closes a request: its counts join those of the task. Throws MR6005 when they do not add up. */
  endRequest(): void {
    const added = this.tally.counts
    const { accepted, late, dead, filtered, expanded } = added
    if (added.in + expanded !== accepted + late + dead + filtered) {
      throw new MillraceError('MR6005', { task: this.taskId, in: added.in, expanded, accepted, late, dead, filtered })
    }
    addCounts(this.#counts, added)
  }

  /** What it holds in memory. */
  stats(): LaneStats['tasks'][number] {
    const { allTables, store, taskId } = this
    const sum = (of: (table: SlabTable) => number): number => allTables.reduce((total, table) => total + of(table), 0)
    return {
      taskId,
      keyCount: allTables[0]?.keyCount ?? 0,
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
      ...(this.chains.every((chain) => chain === undefined)
        ? {}
        : { chains: Array.from(this.chains, (chain) => chain?.clock ?? null) }),
      ...this.#feedPositions(),
    }
  }

  /** Where the others are: what they have done is in the tables of this one. */
  #feedPositions(): Pick<TaskPosition, 'feeds'> {
    for (const [sub, { clock, inputOffset }] of this.members) this.#feeds.set(sub, { ...clock, inputOffset })
    return this.#feeds.size === 0 ? {} : { feeds: Object.fromEntries(this.#feeds) }
  }
}
