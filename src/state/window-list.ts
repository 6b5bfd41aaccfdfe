// The window ends of a slab table in ascending order, each with its rows in memory and what is only in the store.
// Runs on a lane, owned by one slab table.
// Keeps SPEC: STATE-8 (closing a window finds all its rows, in memory and on disk).

import { NO_WINDOW, type TaskStore } from './contract.ts'
import { operatorRange, prefixEnd, readOperatorId, readWindowEndMs, windowKey } from './keys.ts'

const NO_KEY = new Uint8Array(0)

/** One window end. Its rows in memory are a list linked through columns of the slab table. */
export interface WindowRows {
  endMs: number
  /** First row of the list, -1: none in memory. */
  firstRow: number
  rowCount: number
  /** Rows that are in the store and not in memory. +Infinity: not known, so a miss has to ask the store. */
  storedCount: number
}

export class WindowList {
  /** Smallest end, +Infinity when there is none. */
  endMsMin = Number.POSITIVE_INFINITY
  readonly #byEnd = new Map<number, WindowRows>()
  /** Ascending, from `#first` on. New windows nearly always go to the end, and the first one is nearly always the next to go. */
  readonly #ends: number[] = []
  #first = 0

  /** Some window has rows that are only in the store. */
  get hasStored(): boolean {
    for (const { storedCount } of this.#byEnd.values()) if (storedCount > 0) return true
    return false
  }

  get(endMs: number): WindowRows | undefined {
    return this.#byEnd.get(endMs)
  }

  /** The window of an end, made if need be. */
  at(endMs: number): WindowRows {
    return this.#byEnd.get(endMs) ?? this.#add(endMs)
  }

  /** Forgets a window that has no rows left anywhere. */
  dropIfEmpty(window: WindowRows): void {
    if (window.rowCount > 0 || window.storedCount > 0) return
    this.#byEnd.delete(window.endMs)
    const place = this.#placeOf(window.endMs)
    if (place === this.#first) this.#dropFirst()
    else this.#ends.splice(place, 1)
    this.endMsMin = this.#ends[this.#first] ?? Number.POSITIVE_INFINITY
  }

  /** Ends <= `upToMs`, ascending. */
  endsUpTo(upToMs: number): number[] {
    let to = this.#first
    while (to < this.#ends.length && this.#ends[to]! <= upToMs) to++
    return this.#ends.slice(this.#first, to)
  }

  /** Ends within (afterMs, upToMs], ascending. */
  endsIn(afterMs: number, upToMs: number): number[] {
    const ends = this.#ends
    let from = this.#placeOf(afterMs)
    if (ends[from] === afterMs) from++
    let to = from
    while (to < ends.length && ends[to]! <= upToMs) to++
    return ends.slice(from, to)
  }

  #add(endMs: number): WindowRows {
    const window: WindowRows = { endMs, firstRow: -1, rowCount: 0, storedCount: 0 }
    this.#byEnd.set(endMs, window)
    this.#ends.splice(this.#placeOf(endMs), 0, endMs)
    this.endMsMin = this.#ends[this.#first]!
    return window
  }

  /** The places of ends that are gone are given back when they are half of all: else each drop would move every end. */
  #dropFirst(): void {
    this.#first++
    if (this.#first * 2 < this.#ends.length) return
    this.#ends.splice(0, this.#first)
    this.#first = 0
  }

  /** Where `endMs` is or belongs. */
  #placeOf(endMs: number): number {
    const ends = this.#ends
    if (ends.length === 0 || ends[ends.length - 1]! < endMs) return ends.length
    let low = this.#first
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ends[middle]! < endMs) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Notes every window end that the store has rows of, skipping from end to end. */
export function learnWindows(windows: WindowList, store: TaskStore, operatorId: number, isWindowed: boolean): void {
  let from: Uint8Array = operatorRange(operatorId).from
  for (;;) {
    const key = store.firstKeyAtOrAfter(from)
    if (key === undefined || readOperatorId(key) !== operatorId) return
    const endMs = isWindowed ? readWindowEndMs(key) : NO_WINDOW
    windows.at(endMs).storedCount = Number.POSITIVE_INFINITY
    if (!isWindowed) return
    from = prefixEnd(windowKey(operatorId, endMs, NO_KEY))
  }
}
