// Timers by key: rows of a table by time, then key, so that what is due is found wherever it is. Runs on a lane, owned by one task
// of an operator.
// Keeps SPEC: PROCESS-2 (by time, then by key bytes), PROCESS-6 (a timer that has come occupies nothing).

import type { SlabTable } from '../../state/contract.ts'

export class Timers {
  readonly #table: SlabTable
  readonly #keys: SlabTable

  /** `table`: a windowed one of at least one slot, by time; `keys`: the table whose key ids are given and taken. */
  constructor(table: SlabTable, keys: SlabTable) {
    this.#table = table
    this.#keys = keys
  }

  /** The first time that has timers, +Infinity: none has. */
  get firstMs(): number {
    return this.#table.windowEndMin
  }

  set(keyId: number, timeMs: number): void {
    this.#table.touch(this.#table.rowFor(this.#ownKey(keyId), timeMs))
  }

  cancel(keyId: number, timeMs: number): void {
    const row = this.#table.rowIfAny(this.#ownKey(keyId), timeMs)
    if (row >= 0) this.#table.deleteRow(row)
  }

  /** The keys of a time, by their bytes; its timers are no more. The ids are valid until the next seal. */
  take(timeMs: number): number[] {
    const keyIds: number[] = []
    const table = this.#table
    table.closeWindow(timeMs, (row) => {
      const key = table.keyOf(row)
      keyIds.push(this.#keys.internKey(table.keyArena, table.keyStart(key), table.keyBytes(key)))
    })
    return keyIds
  }

  /** Forgets all of them. */
  clear(): void {
    for (const timeMs of this.#table.windowEndsUpTo(Number.POSITIVE_INFINITY)) this.#table.dropWindow(timeMs)
  }

  #ownKey(keyId: number): number {
    const { keyArena } = this.#keys
    return this.#table.internKey(keyArena, this.#keys.keyStart(keyId), this.#keys.keyBytes(keyId))
  }
}
