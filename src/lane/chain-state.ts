// What one chain of operators keeps in one task: its clock, its tables, what of its rows has changed. The chain that begins at the
// topic of a task keeps it in the task itself. Runs on a lane.
// Keeps SPEC: R1 (watermark), R6 / COUNT-1 (in + expanded = accepted + late + dead + filtered).

import { noCounts } from '../core/counts.ts'
import type { ErrorData } from '../core/errors.ts'
import type { ChainClock, TaskCounts } from '../core/message.ts'
import type { SourceClocks } from '../core/source-clocks.ts'
import type { SlabTable } from '../state/contract.ts'
import type { Task } from './task.ts'

/** A table of an operator: see SlabTable. */
export interface TableLayout {
  /** The name of the operator. */
  operator: string
  operatorId: number
  width: number
  isWindowed: boolean
  /** Where others have the end of a window, its rows have a number that is no time. */
  isNumbered?: boolean
  /** What one of its rows stands for, where that is several records, or none. */
  unpack?: (slots: Float64Array, cells: readonly unknown[]) => PackedRecord[]
}

/** A record in a row with others. */
export interface PackedRecord {
  key: Uint8Array
  slots: number[]
  cells: unknown[]
}

/** What the request being served has added; all chains that its records go through share it. */
export interface RequestTally {
  counts: TaskCounts
  /** Result rows that a function of the job refused. */
  deadResults: number
  lastDead: ErrorData | undefined
  /** Records that went on through a repartition topic; they count as accepted. */
  moved: number
}

export function newTally(): RequestTally {
  return { counts: noCounts(), deadResults: 0, lastDead: undefined, moved: 0 }
}

export class ChainState {
  readonly taskId: string
  readonly partition: number
  /** The clocks that its own is the least of: those of source partitions behind a repartition topic, or of streams that meet. */
  readonly clocks: SourceClocks | undefined
  /** The task that keeps the state of all chains that meet. */
  home: Task | undefined
  /** Of its stateful operators, that of an aggregate's rows first; none before they are opened and for stateless chains. */
  tables: SlabTable[] = []
  watermarkMs = Number.NEGATIVE_INFINITY
  eventTimeMsMax = Number.NEGATIVE_INFINITY
  isEnded = false
  /** A running aggregate gives its final rows once. */
  hasEmittedEnd = false
  /** The input is quiet: it holds nobody back. */
  isIdle = false
  /** What the partitions of the repartition topic were told last; NaN: they are to be told in any case. */
  toldWatermarkMs = Number.NEGATIVE_INFINITY
  isToldIdle = false
  /** Rows that changed since the last tick, by `every` interval; undefined: not known, ask the rows. */
  readonly changedRows: (number[] | undefined)[] = []
  tally: RequestTally = newTally()

  constructor(taskId: string, partition: number, clocks: SourceClocks | undefined) {
    this.taskId = taskId
    this.partition = partition
    this.clocks = clocks
  }

  /** Rows of the aggregate. */
  get table(): SlabTable | undefined {
    return this.tables[0]
  }

  /** The clock as an epoch marker keeps it. */
  get clock(): ChainClock {
    const { watermarkMs, eventTimeMsMax, isEnded, clocks } = this
    return {
      watermarkMs,
      eventTimeMsMax,
      isEnded,
      ...(clocks === undefined ? {} : { clocks: clocks.all(), clocksMs: clocks.watermarkMs }),
    }
  }

  restoreClock({ watermarkMs, eventTimeMsMax, isEnded, clocks = [], clocksMs }: ChainClock): void {
    this.watermarkMs = watermarkMs
    this.eventTimeMsMax = eventTimeMsMax
    this.toldWatermarkMs = watermarkMs
    this.isEnded = isEnded
    this.hasEmittedEnd = isEnded
    if (clocksMs !== undefined) this.clocks?.restore(clocks, clocksMs)
  }
}
