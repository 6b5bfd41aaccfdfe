// The messages between the engine (main thread) and a lane (worker thread), all of them. Pure data: they are cloned,
// ArrayBuffers are transferred. A lane answers each request once, and starts requests in the order they were sent.
// Keeps SPEC: LANE-1 (work of an older attempt is dropped), COUNT-1 (in = accepted + late + dead + filtered).

import type { ErrorData } from './errors.ts'
import type { SourceClock } from './source-clocks.ts'

/** What a lane is told at its start (workerData). */
export interface LaneSetup {
  lane: number
  /** Absolute URL of the bundled job module. */
  jobUrl: string
  stateDir: string | undefined
  instanceId: string
  limits: LaneLimits
  /** max.message.bytes by topic index. */
  messageBytesMax: number[]
  /** Partitions of the topic that tasks read, by sub-topology. */
  partitionCounts: number[]
  /** Partitions of the topics that the job writes, by topic index. */
  writtenPartitions: number[]
}

export interface LaneLimits {
  /** Memory of a lane for slabs and caches, in bytes. */
  stateMemoryBytesMax: number
  /** Committed but unflushed changelog bytes of a task; more forces a flush. */
  unflushedBytesMax: number
  valueBytesMax: number
  keyBytesMax: number
  decodeDepthMax: number
  decodeNodesMax: number
}

/** The clock of a task: how far its input has come in event time. */
export interface TaskClock {
  /** -Infinity before the first record, +Infinity after the end of input. */
  watermarkMs: number
  /** Greatest event time seen, -Infinity before the first record. */
  eventTimeMsMax: number
}

/** The clock of a chain of operators, and of the streams that meet at its head. */
export interface ChainClock extends TaskClock {
  isEnded: boolean
  clocks?: SourceClock[]
  /** The watermark that those clocks have given together. */
  clocksMs?: number
}

/** Where a task is whose state another one keeps. */
export interface FeedPosition extends ChainClock {
  /** Next input offset to read. */
  inputOffset: number
}

/**
 * The place of a task in its input and its clock: what an epoch marker keeps and a restart begins from.
 * `watermarkMs` is -Infinity before the first record and +Infinity after the end of input.
 */
export interface TaskPosition extends TaskClock {
  taskId: string
  epoch: number
  instanceId: string
  /** The source topic that `inputOffset` is of. */
  source: string
  /** Next input offset to read. */
  inputOffset: number
  isEnded: boolean
  planHash: string
  counts: TaskCounts
  /** Of a task that reads a repartition topic: the clock of each source partition behind it. */
  clocks?: SourceClock[]
  /** Of a task whose unit has chains beside those that begin at its topics: their clocks, by number. */
  chains?: (ChainClock | null)[]
  /** Of a task that keeps the state of several: where each other is, by sub-topology. */
  feeds?: Record<string, FeedPosition>
}

/** Cumulative over the life of the task (kept in the marker). in + expanded = accepted + late + dead + filtered. */
export interface TaskCounts {
  in: number
  /** Records that flatMap added: outputs - inputs, where it gave at least one. */
  expanded: number
  accepted: number
  late: number
  dead: number
  filtered: number
  /** Windows that were closed to a record which another window took: such a record counts as accepted. */
  refused: number
  /** Rows given to sinks and views. */
  results: number
}

/** What a store holds when a task is opened. */
export interface StoredTask {
  /** Undefined: the store is empty, or its last restore was cut off; its rows are of no known epoch until a marker is read. */
  position: TaskPosition | undefined
  /** Read the changelog from here. */
  changelogOffset: number
  /** Why a store was wiped, for the log. */
  wiped: string | undefined
}

export type LaneRequest =
  /** Opens the store of a task. `changelogTopicId` differs from the stored one: wiped. */
  | {
      op: 'open'
      taskId: string
      /** The sub-topology it is a task of. */
      sub: number
      partition: number
      attempt: number
      changelogTopicId: string | undefined
      /** Log start offset of the changelog: a store that stopped before it is wiped. */
      changelogLow: number
      /** End of the changelog: a store that claims to be beyond it is wiped. Undefined: not checked. */
      changelogHigh?: number
    }
  /** Rows of the changelog, in order; markers among them. `frame` is a source frame of the changelog partition. */
  | { op: 'restore'; taskId: string; attempt: number; frame: ArrayBuffer }
  /** The restore is over: the task may take records from `position` on (undefined: a new task). */
  | {
      op: 'ready'
      taskId: string
      attempt: number
      position: TaskPosition | undefined
      inputOffset: number
      /** Of a task without a position: what was kept with its offset, or by the task that keeps its state. */
      clock?: TaskClock | ChainClock | undefined
    }
  /**
   * The task is ours again after a rebalance, unchanged: it goes on in a new attempt where it stood. Refused when any of its
   * work is not committed.
   */
  | { op: 'resume'; taskId: string; attempt: number }
  /** A task before a repartition topic tells the topic where it stands at the next seal, whether or not it has moved. */
  | { op: 'announce'; taskId: string; attempt: number }
  | { op: 'frame'; taskId: string; attempt: number; epoch: number; frame: ArrayBuffer }
  /** The input is quiet: elapsed monotonic time since its last record. Only for jobs with closeOnIdle. */
  | { op: 'idle'; taskId: string; attempt: number; epoch: number; elapsedMs: number }
  /** The wall clock has come to `nowMs`: timers by it may be due. */
  | { op: 'wall'; taskId: string; attempt: number; epoch: number; nowMs: number }
  /** Event time has come to `watermarkMs` though no record says so. */
  | { op: 'advance'; taskId: string; attempt: number; epoch: number; watermarkMs: number }
  /** The input ended for good: the watermark becomes +Infinity. */
  | { op: 'end'; taskId: string; attempt: number; epoch: number }
  /** The epoch is cut: hand over changed rows and markers of all touched tasks. Later frames belong to a later epoch. */
  | { op: 'seal'; epoch: number; attempt: number }
  /** The epoch's transaction is committed: its sealed rows may be flushed. */
  | { op: 'committed'; epoch: number; attempt: number }
  /**
   * Write committed rows to LMDB. `changelogOffset` is an offset before which no row of an epoch newer than the last
   * committed one lies: where a later restore may start.
   */
  | { op: 'flush'; taskId: string; attempt: number; changelogOffset: number; changelogTopicId: string | undefined }
  /** Let go of a task; nothing is flushed (flush first for a warm start). */
  | { op: 'close'; taskId: string; attempt: number }
  /** Rows of a topic that every lane has as a table; `isFirst`: all that was known of the topic is forgotten. */
  | { op: 'global'; topic: string; isFirst: boolean; frame: ArrayBuffer | undefined }
  | { op: 'stats' }

/** The request of an op. */
export type RequestOf<Op extends LaneRequest['op']> = Extract<LaneRequest, { op: Op }>

export interface LaneOpened {
  op: 'open'
  stored: StoredTask
}
export interface LaneRestored {
  op: 'restore'
  /** The last marker so far. */
  position: TaskPosition | undefined
  rowCount: number
  /** Bytes of keys and values of these rows. */
  byteCount: number
}
export interface LaneDone {
  op: 'ready' | 'resume' | 'announce' | 'committed' | 'close'
}
/** Answer to frame, idle, wall, advance and end. */
export interface LaneProcessed {
  op: 'frame' | 'idle' | 'wall' | 'advance' | 'end'
  taskId: string
  attempt: number
  epoch: number
  /** Undefined when the request was of an older attempt and was dropped. */
  isDropped: boolean
  /** A sink frame (core/frame.ts) of result, late and dead rows, indexes into planTopics; undefined: none. */
  out: ArrayBuffer | undefined
  /** The input frame's buffer on its way back, for reuse. */
  recycled: ArrayBuffer | undefined
  /** Bytes of the input frame, to settle the budget. */
  frameBytes: number
  inputOffset: number
  watermarkMs: number
  /** The first time of the wall clock that its timers wait for, +Infinity: none. */
  wallTimerMs: number
  /** What this request added to the counts. */
  counts: TaskCounts
  /** Result rows that a function of the job refused; they are in the dead letters, no record of the input is. */
  deadResults: number
  /** The last dead record of the frame, for the flood rule and the log. */
  lastDead: ErrorData | undefined
  /** Of the accepted records, those that went on through a repartition topic. */
  moved: number
  /** Kafka timestamps of up to 16 records of the frame, evenly spaced, and how many records each stands for. */
  sampleTimestampsMs: number[]
  sampleWeight: number
}
export interface LaneSealed {
  op: 'seal'
  epoch: number
  attempt: number
  /** A sink frame of changelog rows and markers (explicit partitions); undefined: nothing was touched or no state. */
  out: ArrayBuffer | undefined
  /** Every task touched since the last seal. */
  tasks: { taskId: string; partition: number; position: TaskPosition }[]
}
export interface LaneFlushed {
  op: 'flush'
  taskId: string
  /** Last epoch that is now in LMDB. */
  epoch: number
  rowCount: number
}
export interface LaneStats {
  op: 'stats'
  tasks: {
    taskId: string
    keyCount: number
    rowCount: number
    evictedRowCount: number
    stateBytes: number
    unflushedBytes: number
  }[]
  heapBytes: number
}

export interface LaneGlobal {
  op: 'global'
  rowCount: number
  bytes: number
  /** Records that are no rows, and why the last one is none. */
  refused: number
  lastRefused: ErrorData | undefined
}

export type LaneResponse =
  | LaneOpened
  | LaneRestored
  | LaneDone
  | LaneProcessed
  | LaneSealed
  | LaneFlushed
  | LaneGlobal
  | LaneStats
/** A lane that could not do what it was asked. The supervisor decides by the code's action. */
export interface LaneFailure {
  op: 'failed'
  error: ErrorData
}
export type LaneAnswer = LaneResponse | LaneFailure
