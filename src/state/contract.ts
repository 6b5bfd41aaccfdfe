// The contracts of state: backend (a sorted byte map on disk or in memory), task store (the layers over it) and slab
// table (typed rows of one operator over the store). Runs on a lane.
// Keeps SPEC: STATE-1 (the store never leads the committed epoch), STATE-2 (reads merge all layers).

import type { FrameWriter } from '../core/frame.ts'
import type { StoredTask, TaskPosition } from '../core/message.ts'

/*
 * The layers of a task, newest first; a read takes the first that knows the key:
 *
 *   1 open epoch      slab rows marked dirty, tombstones of the slab table        (SlabTable)
 *   2 committing      what `seal(E)` handed over, until `committed(E)`            (TaskStore)
 *   3 unflushed       committed, coalesced by key, limited in bytes               (TaskStore)
 *   4 backend         LMDB, one environment a task                                (Backend)
 *
 * State keys (also the keys of changelog rows):
 *   aligned windows   u16 operator id (BE) | u64 window end, sortable (BE, sign bit flipped) | key bytes
 *   plain keyed       u16 operator id (BE) | key bytes
 *   marker            u16 0xffff (changelog only; its value is the msgpack of a TaskPosition)
 * State values:       f64 slots (LE), width of the operator | optional tail: msgpack of the row's variable cells
 * In LMDB a value is preceded by the CRC32C of key and value (u32 LE).
 */

/** A sorted byte map that is written in whole transactions. LMDB and memory pass the same cases. */
export interface Backend {
  get(key: Uint8Array): Uint8Array | undefined
  /** Rows with from <= key < to in byte order. */
  range(from: Uint8Array, to: Uint8Array): Iterable<[key: Uint8Array, value: Uint8Array]>
  /** First key >= from, or undefined: for skipping from window end to window end. */
  firstKeyAtOrAfter(from: Uint8Array): Uint8Array | undefined
  /**
   * All of it or nothing, durable when it resolves. `undefined` deletes. A key comes at most once, and the rows must not
   * change until it resolves. After a failure the backend is only closed.
   */
  write(rows: Iterable<[key: Uint8Array, value: Uint8Array | undefined]>, meta: Uint8Array): Promise<void>
  /** The meta of the last write. */
  meta(): Uint8Array | undefined
  /** Empties it, meta included. */
  wipe(): Promise<void>
  close(): Promise<void>
}

/** The layers of one task over a backend. All operators of the task share it. */
export interface TaskStore {
  readonly taskId: string
  /** Bytes of layer 3. */
  readonly unflushedBytes: number
  /** Epoch up to which everything is in the backend. Rows sealed in an epoch <= this are clean. */
  readonly flushedEpoch: number
  /** Layers 2 to 4 merged; the bytes are valid until the next call. */
  get(key: Uint8Array): Uint8Array | undefined
  /** Layers 2 to 4 merged, in key order; deleted keys are left out. */
  range(from: Uint8Array, to: Uint8Array): Iterable<[key: Uint8Array, value: Uint8Array]>
  firstKeyAtOrAfter(from: Uint8Array): Uint8Array | undefined
  /** Layer 2 takes a row of the epoch being sealed. Bytes are copied. */
  sealRow(key: Uint8Array, value: Uint8Array | undefined): void
  /** As sealRow, for a key and its value that lie back to back in `source` from `keyStart` on. Hot. */
  sealRowAt(source: Uint8Array, keyStart: number, keyBytes: number, valueBytes: number): void
  /** Ends the seal: the position that this epoch's marker carries. */
  sealed(epoch: number, position: TaskPosition): void
  /** Layer 2 of `epoch` joins layer 3. Epochs commit in order. */
  committed(epoch: number): void
  /** A row read back from the changelog; only before `restored`. Goes to layer 3, and to the backend when that is full. */
  restoreRow(key: Uint8Array, value: Uint8Array | undefined, offset: number): Promise<void> | undefined
  /** All rows are read: writes those that wait, with the position that they belong to, when they are more than `bytesMax`. */
  writeRestored(position: TaskPosition | undefined, bytesMax: number): Promise<void>
  restored(position: TaskPosition | undefined): void
  /** False until `restored`: slab tables are made after it, since they learn their windows from the store. */
  readonly isRestored: boolean
  /** Layer 3 to the backend with position and changelog offset, as one write. */
  flush(changelogOffset: number, changelogTopicId: string | undefined): Promise<{ epoch: number; rowCount: number }>
  close(): Promise<void>
}

/** What opening a store tells: see StoredTask. */
export interface OpenedStore {
  store: TaskStore
  stored: StoredTask
}

/** The window end of all rows of a plain keyed table. */
export const NO_WINDOW = 0

/**
 * Typed rows of one stateful operator: `width` float64 slots a row in one slab, found by (key, window end).
 * Memory is a cache: rows that are clean may be evicted and come back through the store. A key without rows is forgotten.
 * A plain keyed table (no window) uses NO_WINDOW for all its rows.
 */
export interface SlabTable {
  readonly operatorId: number
  readonly width: number
  /** Row r has slots[r * width .. + width). REPLACED when the table grows: take it again after `rowFor`. */
  slots: Float64Array
  /** Variable cells by row (first/last of non-numbers, custom accumulators); msgpack on the way out. */
  readonly cells: (unknown[] | undefined)[]
  /** Set by `rowFor`: the row is new, its slots are 0 and its cells undefined. */
  wasCreated: boolean
  readonly rowCount: number
  readonly keyCount: number
  readonly evictedRowCount: number
  /**
   * Interns the key bytes source[start .. start + length): small integers, reused when a key has no rows left. Hot.
   * The id of a key without rows is valid until the next `seal` or `evict`, those of keys with rows as long as these live.
   */
  internKey(source: Uint8Array, start: number, length: number): number
  /** The key's bytes: array, start and length through `keyArena`, `keyStart`, `keyBytes`. */
  readonly keyArena: Uint8Array
  keyStart(keyId: number): number
  keyBytes(keyId: number): number
  /** The row of (key, window end), made or loaded from the store if need be. Hot: a hit on the key's newest window is O(1). */
  rowFor(keyId: number, windowEndMs: number): number
  /** The row of (key, window end) if it is in memory, else -1. Hot. */
  find(keyId: number, windowEndMs: number): number
  /** The row of (key, window end), loaded from the store if need be; -1: there is none. Hot. */
  rowIfAny(keyId: number, windowEndMs: number): number
  /** Rows of a key in memory. */
  rowCountOf(keyId: number): number
  /** The greatest window end of the rows of a key, -Infinity: it has none; NaN: not known without asking the store. Hot. */
  newestEndOf(keyId: number): number
  /** Byte order of two keys: negative, 0 or positive. */
  compareKeys(a: number, b: number): number
  keyOf(row: number): number
  windowEndOf(row: number): number
  /** Marks the row changed in the open epoch. Hot and idempotent. */
  touch(row: number): void
  /**
   * Window ends <= `upToMs` that have rows, ascending (rows in memory and rows only in the store). After a reopen one may
   * be named whose stored rows were all deleted one by one: closing it visits nothing.
   */
  windowEndsUpTo(upToMs: number): number[]
  /** Window ends within (afterMs, upToMs], as `windowEndsUpTo`. */
  windowEndsIn(afterMs: number, upToMs: number): number[]
  /** The rows of a window end that are in memory, in no order. */
  rowsInMemory(windowEndMs: number): Int32Array
  /** Brings all rows of a window end into memory. False when there is no room for all of them. */
  load(windowEndMs: number): boolean
  /** True when all rows of a window end are in memory. */
  isLoaded(windowEndMs: number): boolean
  /**
   * The rows of a window end in key byte order. One that is only in the store is in memory until the walk goes on. No row may be
   * made meanwhile; several walks may go side by side.
   */
  walk(windowEndMs: number): Iterable<number>
  /** Smallest window end that has rows, +Infinity when there is none: lets the hot path skip closing. */
  readonly windowEndMin: number
  /** Visits all rows of a window end in key byte order and deletes them. `visit` must not create rows. */
  closeWindow(windowEndMs: number, visit: (row: number) => void): void
  /** Deletes all rows of a window end. */
  dropWindow(windowEndMs: number): void
  /** Is told of each row before it leaves memory: deleted, evicted, or of a table that is dropped. */
  set onDrop(tell: (row: number) => void)
  /** Visits every live row, window ends ascending, then key byte order. Does not load everything at once. */
  forEachRow(visit: (row: number) => void): void
  /** Deletes one row. */
  deleteRow(row: number): void
  /** Encodes rows changed since the last seal into the changelog frame and into the store's layer 2. */
  seal(epoch: number, changelog: FrameWriter, topicIndex: number, partition: number): void
  /** Evicts clean rows, coldest first, until the table is within its bytes. */
  evict(): void
  /** Bytes of the cells of rows in memory, as of their last seal or load. */
  readonly cellBytes: number
  /** Bytes that its operator keeps beside the rows, made from them. */
  besideBytes: number
  /** Bytes of the rows, keys and tombstones in memory, and of what is beside them. */
  readonly bytes: number
  /** Forgets everything in memory and leaves a shared budget; the table is not used afterwards. */
  dropAll(): void
}
