// The copy of a view on disk: all its rows, the changes that are remembered, and how far in the topic they are, in one LMDB environment.
// A write is one transaction, so the copy is always the view as it was at some moment. Main thread; LMDB writes on a thread of its own.
// Keeps SPEC: PUSH-40 (the copy may be behind, never ahead or in part), PUSH-41 (a copy that cannot be trusted is not used).

import { mkdir } from 'node:fs/promises'
import { MillraceError } from '../core/errors.ts'
import type { Backend } from '../state/contract.ts'
import { openLmdbBackend, wipeLmdbFolder } from '../state/lmdb-backend.ts'
import {
  CHANGES_END,
  CHANGES_START,
  type ChangeBatch,
  COPY_VERSION,
  type CopyIdentity,
  type CopyMeta,
  type CopyState,
  changesKey,
  keyOfRow,
  packChanges,
  packMeta,
  ROWS_END,
  rowKey,
  rowOfValue,
  rowValue,
  unpackChanges,
  unpackMeta,
} from './copy-codec.ts'
import type { ViewRow } from './view-store.ts'

/** Of one look into the rows: what a client that reads slowly holds of them. */
const PAGE_ROWS = 128
const PAGE_CHARS = 1 << 16

export interface RowPage {
  rows: ViewRow[]
  /** There are no more behind them. */
  isLast: boolean
}

/** What is written at once. */
export interface CopyWrite {
  /** The latest change of each key that has changed. */
  rows: Iterable<ViewRow>
  /** Undefined: there were none. */
  batch: ChangeBatch | undefined
  state: CopyState
}

export interface OpenedCopy {
  copy: ViewCopy
  /** What it holds; undefined: nothing. */
  meta: CopyMeta | undefined
  /** Why what was there cannot be read. */
  damage: string | undefined
}

/** Opens the copy in a folder, or makes one. Throws MR7031 when the folder cannot be used. */
export async function openCopy(folder: string, identity: CopyIdentity): Promise<OpenedCopy> {
  try {
    await mkdir(folder, { recursive: true })
    const { backend, damage } = await openBackend(folder, identity.view)
    const bytes = backend.meta()
    const meta = bytes === undefined ? undefined : unpackMeta(bytes)
    const isOld = bytes !== undefined && meta === undefined
    const copy = new ViewCopy(identity, backend)
    if (isOld) await copy.wipe()
    return { copy, meta, damage: damage ?? (isOld ? 'it is of another version' : undefined) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new MillraceError('MR7031', { folder, reason }, { cause: error })
  }
}

async function openBackend(folder: string, view: string): Promise<{ backend: Backend; damage: string | undefined }> {
  const options = { folder, taskId: view }
  try {
    return { backend: await openLmdbBackend(options), damage: undefined }
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'MR5002') throw error
    wipeLmdbFolder(folder)
    return { backend: await openLmdbBackend(options), damage: String(error.details.reason) }
  }
}

export class ViewCopy {
  readonly identity: CopyIdentity
  readonly #backend: Backend
  /** Last sequences of the batches of changes that are there, ascending. */
  readonly #batches: number[] = []

  constructor(identity: CopyIdentity, backend: Backend) {
    this.identity = identity
    this.#backend = backend
  }

  /** Throws MR7032. */
  read(key: string): ViewRow | undefined {
    return this.#guarded(() => {
      const value = this.#backend.get(rowKey(key))
      return value === undefined ? undefined : rowOfValue(key, value)
    })
  }

  /** Some rows from a key on, in the order of code units. Throws MR7032. */
  page(first: string): RowPage {
    return this.#guarded(() => {
      const rows: ViewRow[] = []
      let chars = 0
      for (const [key, value] of this.#backend.range(rowKey(first), ROWS_END)) {
        if (rows.length === PAGE_ROWS || chars >= PAGE_CHARS) return { rows, isLast: false }
        const row = rowOfValue(keyOfRow(key), value)
        rows.push(row)
        chars += row.json.length + row.key.length
      }
      return { rows, isLast: true }
    })
  }

  /** What is remembered, newest first. Throws MR7032. */
  readBatches(): ChangeBatch[] {
    const batches = this.#guarded(() =>
      [...this.#backend.range(CHANGES_START, CHANGES_END)].map(([, value]) => unpackChanges(value)),
    )
    this.#batches.splice(0, this.#batches.length, ...batches.map(({ last }) => last))
    return batches.reverse()
  }

  /** All of it or nothing, on disk when it resolves. One at a time; after a failure it is only closed. */
  async write({ rows, batch, state }: CopyWrite): Promise<void> {
    const written: [Uint8Array, Uint8Array | undefined][] = []
    for (const row of rows) written.push([rowKey(row.key), row.isRemoval ? undefined : rowValue(row)])
    if (batch !== undefined && batch.last > state.forgottenSequence) {
      written.push([changesKey(batch.last), packChanges(batch)])
      this.#batches.push(batch.last)
    }
    while (this.#batches.length > 0 && this.#batches[0]! <= state.forgottenSequence) {
      written.push([changesKey(this.#batches.shift()!), undefined])
    }
    await this.#backend.write(written, packMeta({ ...this.identity, ...state, version: COPY_VERSION }))
  }

  async wipe(): Promise<void> {
    this.#batches.length = 0
    await this.#backend.wipe()
  }

  async close(): Promise<void> {
    await this.#backend.close()
  }

  #guarded<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      const reason = error instanceof MillraceError ? String(error.details.reason) : String(error)
      throw new MillraceError('MR7032', { view: this.identity.view, reason }, { cause: error })
    }
  }
}
