// The second slot of a key: its newest row that is not committed, as long as its attempt may still commit it. The first is the view's
// store; of a view with history that of all its rows, where a key is that of a record: each row by time has slots of its own. No clock
// and no I/O: times are arguments. Main thread.
// Keeps SPEC: PROV-1 (a row is shown while its attempt may still commit it), PROV-2 (in the end only committed rows are left),
// PROV-5 (memory is limited).

import type { HistoryPlace } from '../core/history-key.ts'
import type { ViewRow, ViewStore } from './view-store.ts'
import type { Encoded } from './wire-codec.ts'

export interface ProvisionalLimits {
  /** Keys of a view that have a provisional row; rows of further keys are shown when they are committed. */
  provisionalRowsMax: number
  /** Bytes of these rows, counted as UTF-16. */
  provisionalBytesMax: number
  /** A row is shown as provisional for so long at most, whatever becomes of it. */
  provisionalMsMax: number
}

/** A row of an attempt, before its commit. */
export interface GivenRow {
  key: string
  /** That the topic will have it in. */
  partition: number
  timestampMs: number
  /** Undefined removes the key. */
  json: string | undefined
  /** Its window is closed. */
  isFinal?: boolean
  /** Of a row of a history, whose `key` is that of its record. */
  place?: HistoryPlace | undefined
}

export interface Slot {
  readonly row: ViewRow
  readonly epoch: number
  readonly givenMs: number
  /** Rows of the key that were given and have not been read from the topic, this one included. */
  unreadCount: number
  /** Its attempt has ended after it had committed the row: it will be read. */
  isDecided: boolean
  /** By lens and encoding. */
  readonly encoded: Map<string, Encoded>
}

/** What became of rows, for the metrics. */
export type Outcome = 'confirmed' | 'replaced' | 'retracted' | 'left_out'

/*
 *   key K     engine:   given r1 (epoch 7)   given r2 (epoch 8)   committed 7           committed 8
 *             topic:                                                     r1 is read             r2 is read
 *   shown               r1                   r2                   r2     r1, r2         r2      r2, as committed
 *
 * A record of the topic settles a slot when it is the slot's row, which content tells, or when as many were read as were given
 * and the slot's epoch is committed (somebody else writes the key too, or the topic was compacted). What is left is let go of after
 * its time. A slot that goes too early shows the committed row a moment earlier; one never outlives its attempt undecided.
 */
export class ProvisionalSlots {
  readonly #store: ViewStore
  readonly #limits: ProvisionalLimits
  readonly #count: (outcome: Outcome) => void
  readonly #slots = new Map<string, Slot>()
  /** Keys whose slot or whose row below it changed, the last ones. */
  readonly #ring: string[] = []
  #bytes = 0
  #attempt = 0
  #isRunning = false
  #committedEpoch = -1
  #rev = 0
  /** Counts the changes, from 1. */
  sequence = 0

  constructor(store: ViewStore, limits: ProvisionalLimits, count: (outcome: Outcome) => void = () => undefined) {
    this.#store = store
    this.#limits = limits
    this.#count = count
  }

  /** An attempt of this process may give rows. */
  get isRunning(): boolean {
    return this.#isRunning
  }
  get size(): number {
    return this.#slots.size
  }
  keys(): Iterable<string> {
    return this.#slots.keys()
  }
  of(key: string): Slot | undefined {
    return this.#slots.get(key)
  }

  begun(attempt: number): void {
    if (attempt <= this.#attempt) return
    this.ended(this.#attempt)
    this.#attempt = attempt
    this.#isRunning = true
    this.#committedEpoch = -1
    this.#rev = 0
  }

  /** Takes a row; of a key the newest in the order of the topic is kept. */
  give(attempt: number, epoch: number, given: GivenRow, nowMs: number): void {
    if (attempt !== this.#attempt || !this.#isRunning) return
    const { key } = given
    const old = this.#slots.get(key)
    // Another lane writes the key as well and is an epoch further.
    if (old !== undefined && !old.isDecided && old.epoch > epoch) {
      old.unreadCount++
      return
    }
    const rev = ++this.#rev
    const row = this.#rowOf(given, { attempt, rev })
    if (old !== undefined) this.#remove(key, old, 'replaced')
    if (!this.#hasRoomFor(row)) {
      this.#count('left_out')
      if (old !== undefined) this.#changed(key)
      return
    }
    const unreadCount = (old?.unreadCount ?? 0) + 1
    this.#put({ row, epoch, givenMs: nowMs, unreadCount, isDecided: false, encoded: new Map() })
  }

  committed(attempt: number, epoch: number): void {
    if (attempt === this.#attempt && this.#isRunning) this.#committedEpoch = Math.max(this.#committedEpoch, epoch)
  }

  /** Takes back what the attempt has not committed. */
  ended(attempt: number): void {
    if (attempt !== this.#attempt || !this.#isRunning) return
    this.#isRunning = false
    for (const [key, slot] of this.#slots) {
      if (this.#isDecided(slot)) slot.isDecided = true
      else this.#drop(key, slot, 'retracted')
    }
  }

  /** A record of the view's topic was taken into the store. */
  read(key: string, json: string | undefined): void {
    const slot = this.#slots.get(key)
    if (slot === undefined) return
    const { row } = slot
    slot.unreadCount--
    const isSame = row.isRemoval ? json === undefined : json === row.json
    if (isSame || (slot.unreadCount <= 0 && this.#isDecided(slot))) {
      this.#drop(key, slot, isSame ? 'confirmed' : 'replaced')
      return
    }
    // Its row stays above what was read, which is its base from now on.
    slot.unreadCount = Math.max(1, slot.unreadCount)
    const { partition, timestampMs, isFinal, place, provisional } = row
    const again = { key, partition, timestampMs, json: row.isRemoval ? undefined : row.json, isFinal, place }
    this.#slots.set(key, { ...slot, row: this.#rowOf(again, provisional!), encoded: new Map() })
    this.#changed(key)
  }

  /** Lets go of rows that nothing has settled in time. True when there were some. */
  expire(nowMs: number): boolean {
    const before = this.sequence
    for (const [key, slot] of this.#slots) {
      if (nowMs - slot.givenMs >= this.#limits.provisionalMsMax) this.#drop(key, slot, 'retracted')
    }
    return this.sequence !== before
  }

  /** Takes all back: nobody is told of them any more. */
  clear(): void {
    for (const [key, slot] of this.#slots) this.#drop(key, slot, 'retracted')
  }

  /** Keys that changed after a sequence; undefined: some are forgotten. */
  changedSince(sequence: number): Set<string> | undefined {
    const size = this.#limits.provisionalRowsMax
    if (this.sequence - sequence > size) return undefined
    const keys = new Set<string>()
    for (let at = sequence + 1; at <= this.sequence; at++) keys.add(this.#ring[at % size]!)
    return keys
  }

  #isDecided({ epoch, isDecided }: Slot): boolean {
    return isDecided || epoch <= this.#committedEpoch
  }

  #rowOf(given: GivenRow, provisional: { attempt: number; rev: number }): ViewRow {
    const { key, partition, timestampMs, json, isFinal = false, place } = given
    const base = this.#store.latest(key)
    return {
      key,
      partition: base?.partition ?? partition,
      offset: base?.offset ?? NO_OFFSET,
      timestampMs,
      sequence: 0,
      revision: 0,
      json: json ?? 'null',
      isRemoval: json === undefined,
      isFinal: isFinal && json !== undefined,
      isCurrent: true,
      place,
      provisional,
    }
  }

  #hasRoomFor(row: ViewRow): boolean {
    const { provisionalRowsMax, provisionalBytesMax } = this.#limits
    return this.#slots.size < provisionalRowsMax && this.#bytes + bytesOf(row) <= provisionalBytesMax
  }

  #put(slot: Slot): void {
    this.#slots.set(slot.row.key, slot)
    this.#bytes += bytesOf(slot.row)
    this.#changed(slot.row.key)
  }

  #drop(key: string, slot: Slot, outcome: Outcome): void {
    this.#remove(key, slot, outcome)
    this.#changed(key)
  }

  #remove(key: string, { row }: Slot, outcome: Outcome): void {
    this.#slots.delete(key)
    this.#bytes -= bytesOf(row)
    this.#count(outcome)
  }

  #changed(key: string): void {
    this.#ring[++this.sequence % this.#limits.provisionalRowsMax] = key
  }
}

/** Of a key that has no committed row. */
export const NO_OFFSET = -1

/** As the store counts them. */
function bytesOf(row: ViewRow): number {
  return 2 * (row.json.length + row.key.length) + 160
}
