// The rows of one slab table that are in memory: columns, the keys they are of, and how they are found.
// Runs on a lane, owned by one slab table. Hot.
// Keeps SPEC: STATE-4 (a row that is gone leaves nothing behind), STATE-8 (rows of a window in the order of their keys).

import { compareBytes } from './byte-hash.ts'
import { KeyTable } from './key-table.ts'
import { RowColumns } from './row-columns.ts'
import { RowIndex } from './row-index.ts'
import { WindowList, type WindowRows } from './window-list.ts'

export class MemoryRows {
  readonly columns: RowColumns
  readonly keys = new KeyTable()
  readonly windows = new WindowList()
  /** See SlabTable. */
  onDrop: ((row: number) => void) | undefined
  readonly #index = new RowIndex()

  constructor(width: number) {
    this.columns = new RowColumns(width)
  }

  /** The row of (key, window end), -1: none in memory. */
  find(keyId: number, windowEndMs: number): number {
    const { keys, columns } = this
    if (keys.newestEnds[keyId] === windowEndMs) return keys.newestRows[keyId]!
    return this.#index.find(columns.keys, columns.ends, keyId, windowEndMs)
  }

  add(keyId: number, window: WindowRows, flags: number): number {
    const { keys, columns } = this
    const row = columns.take(keyId, window, flags)
    this.#index.add(columns.keys, columns.ends, row)
    keys.addRow(keyId, window.endMs, row)
    return row
  }

  /** Forgets a row; its window may be empty afterwards. */
  drop(row: number): WindowRows {
    const { columns } = this
    this.onDrop?.(row)
    const window = this.windows.get(columns.ends[row]!)!
    this.#index.remove(columns.keys, columns.ends, row)
    this.keys.removeRow(columns.keys[row]!, row)
    columns.free(row, window)
    return window
  }

  /** The rows of a window by key bytes. */
  inKeyOrder(window: WindowRows): Int32Array {
    return this.columns.rowsOf(window).sort(this.#compareRows)
  }

  /** Byte order of two keys. */
  compareKeys(a: number, b: number): number {
    const { arena, starts, lengths } = this.keys
    return compareBytes(arena, starts[a]!, lengths[a]!, arena, starts[b]!, lengths[b]!)
  }

  /** Byte order of a row's key and the one at key[from ..). */
  compareToKey(row: number, key: Uint8Array, from: number): number {
    const keyId = this.columns.keys[row]!
    const { arena, starts, lengths } = this.keys
    return compareBytes(arena, starts[keyId]!, lengths[keyId]!, key, from, key.length - from)
  }

  readonly #compareRows = (a: number, b: number): number =>
    this.compareKeys(this.columns.keys[a]!, this.columns.keys[b]!)
}
