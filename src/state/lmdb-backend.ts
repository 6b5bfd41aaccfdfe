// The backend on disk: one LMDB environment a task folder, each row guarded by a CRC. The only user of lmdb.
// Runs on a lane; writes go on lmdb's own thread and need the lane's event loop.
// Keeps SPEC: STATE-1 (a write is all or nothing, durable), STATE-6 (damage is never read as state).

import { mkdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { open, type RootDatabase } from 'lmdb'
import { MillraceError } from '../core/errors.ts'
import type { Backend } from './contract.ts'
import { crc32c } from './crc32c.ts'
import { MARKER_KEY } from './keys.ts'
import { assertAccess, fileDamage, lmdbDataFile } from './lmdb-file.ts'
import { type EncodedRows, encodeRows, ROW_CRC_BYTES, storedCrc } from './lmdb-rows.ts'
import { type Envelope, readEnvelope, writeEnvelope } from './meta-envelope.ts'
import { clearOpenMark, setOpenMark, startsWithoutWrite } from './open-mark.ts'
import { RowHash } from './row-hash.ts'

/** The meta record lies above all operators' keys, so no range of rows holds it. */
const META_KEY = MARKER_KEY
/** A write that has not ended after this is given up, and with it the store. */
const WRITE_WAIT_MS_MAX = 60_000
/** A damaged page can end the process inside LMDB. After so many starts that ended early it is taken as damaged unread. */
const STARTS_WITHOUT_WRITE_MAX = 4
/** Rows that are checked in one turn of the event loop. */
const VERIFY_ROWS_AT_ONCE = 4096

type Database = RootDatabase<Uint8Array, Uint8Array>

export interface LmdbBackendOptions {
  /** The task's own folder, made if need be. */
  folder: string
  taskId: string
}

/**
 * Opens a task's environment. After an unclean end every row is read and checked against the running hash.
 *
 * A resolved `write` is on disk: `overlappingSync` is off, so the commit itself ends with fdatasync and a synchronous
 * write of LMDB's meta page.
 *
 * @throws MillraceError MR5002 when the rows are damaged: `wipeLmdbFolder` and open again; MR5005 when the folder cannot be used
 * @example
 * const backend = await openLmdbBackend({ folder: '/state/candles/0_3', taskId: '0_3' })
 */
export async function openLmdbBackend(options: LmdbBackendOptions): Promise<Backend> {
  const { taskId } = options
  const startCount = markStart(options)
  const database = openDatabase(options)
  try {
    const envelope = readStoredEnvelope(database)
    if (startCount > 1 || envelope === undefined) await verifyRows(database, envelope)
    return new LmdbBackend(options, database, envelope)
  } catch (error) {
    await database.close()
    throw damaged(taskId, error)
  }
}

/** Deletes a task's environment; the rows go first, so a crash in between leaves an empty one. */
export function wipeLmdbFolder(folder: string): void {
  rmSync(lmdbDataFile(folder), { force: true })
  rmSync(join(folder, 'lock.mdb'), { force: true })
  clearOpenMark(folder)
}

/** Marks the environment as open; 1 when the last end was clean, more when its rows have to be checked. */
function markStart({ folder, taskId }: LmdbBackendOptions): number {
  try {
    mkdirSync(folder, { recursive: true })
    const startsBefore = startsWithoutWrite(folder)
    if (startsBefore !== undefined && startsBefore >= STARTS_WITHOUT_WRITE_MAX) {
      const reason = `${startsBefore} starts in a row ended before they could write to it`
      throw new MillraceError('MR5002', { task: taskId, reason })
    }
    assertAccess(folder)
    const damage = fileDamage(folder)
    if (damage !== undefined) throw new MillraceError('MR5002', { task: taskId, reason: damage })
    const startCount = startsBefore === undefined ? 1 : startsBefore + 1
    setOpenMark(folder, startCount)
    return startsBefore === undefined ? 1 : Math.max(2, startCount)
  } catch (error) {
    throw unusable(folder, error)
  }
}

class LmdbBackend implements Backend {
  readonly #options: LmdbBackendOptions
  #database: Database
  #envelope: Envelope | undefined
  #hash: RowHash
  /** A write of this start has ended well. */
  #hasWritten = false
  /** A read found damage: the mark stays, so that the next start checks every row. */
  #isDamaged = false
  /** A write failed or has no known end: the environment is only closed any more. */
  #isBroken = false

  constructor(options: LmdbBackendOptions, database: Database, envelope: Envelope | undefined) {
    this.#options = options
    this.#database = database
    this.#envelope = envelope
    this.#hash = envelope?.hash.copy() ?? new RowHash()
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#guarded(() => {
      const stored = this.#database.getBinary(key)
      return stored === undefined ? undefined : checkedValue(key, stored)
    })
  }

  *range(from: Uint8Array, to: Uint8Array): Generator<[key: Uint8Array, value: Uint8Array]> {
    try {
      for (const { key, value } of this.#database.getRange({ start: from, end: to })) {
        yield [key, checkedValue(key, value)]
      }
    } catch (error) {
      throw this.#damaged(error)
    }
  }

  firstKeyAtOrAfter(from: Uint8Array): Uint8Array | undefined {
    return this.#guarded(() => {
      for (const key of this.#database.getKeys({ start: from, end: META_KEY, limit: 1 })) return key
      return undefined
    })
  }

  async write(rows: Iterable<[key: Uint8Array, value: Uint8Array | undefined]>, meta: Uint8Array): Promise<void> {
    const hash = this.#hash.copy()
    const encoded = await encodeRows(rows, hash, (key) => this.#storedCrcOf(key))
    const envelope: Envelope = { hash, meta: meta.slice() }
    await this.#commit(encoded, envelope)
    this.#noteWrite()
    this.#hash = hash
    this.#envelope = envelope
  }

  meta(): Uint8Array | undefined {
    return this.#envelope?.meta
  }

  async wipe(): Promise<void> {
    await this.#database.close()
    wipeLmdbFolder(this.#options.folder)
    setOpenMark(this.#options.folder, 1)
    this.#database = openDatabase(this.#options)
    this.#hasWritten = false
    this.#envelope = undefined
    this.#hash = new RowHash()
    this.#isDamaged = false
    this.#isBroken = false
  }

  /** A clean end spares the next start the check of every row. */
  async close(): Promise<void> {
    if (this.#isBroken) return closeBroken(this.#database)
    await this.#database.close()
    if (!this.#isDamaged) clearOpenMark(this.#options.folder)
  }

  /**
   * LMDB does not write pages that a transaction freed again, and they may be the last ones. The file is filled up to its
   * last page, so that a file that is too short at a start was cut off.
   */
  #noteWrite(): void {
    const { folder } = this.#options
    const { lastPageNumber, pageSize } = this.#database.getStats() as { lastPageNumber: number; pageSize: number }
    const neededBytes = (lastPageNumber + 1) * pageSize
    if (statSync(lmdbDataFile(folder)).size < neededBytes) truncateSync(lmdbDataFile(folder), neededBytes)
    if (!this.#hasWritten) setOpenMark(folder, 0)
    this.#hasWritten = true
  }

  async #commit(rows: EncodedRows, envelope: Envelope): Promise<void> {
    const database = this.#database
    const written = database.batch(() => {
      for (let i = 0; i < rows.keys.length; i++) {
        const value = rows.values[i]
        if (value === undefined) database.remove(rows.keys[i]!)
        else database.put(rows.keys[i]!, value)
      }
      database.put(META_KEY, writeEnvelope(envelope))
    })
    try {
      await withinLimit(written)
    } catch (error) {
      this.#isBroken = true
      // What the system still shows of the file need not be on disk: no later start may trust it.
      wipeLmdbFolder(this.#options.folder)
      throw await commitError(error)
    }
  }

  /** The CRC that the row of `key` has on disk, -1 when there is none. */
  #storedCrcOf(key: Uint8Array): number {
    const stored = this.#database.getBinaryFast(key)
    return stored === undefined ? -1 : storedCrc(stored)
  }

  #guarded<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      throw this.#damaged(error)
    }
  }

  #damaged(error: unknown): MillraceError {
    this.#isDamaged = true
    return damaged(this.#options.taskId, error)
  }
}

function openDatabase({ folder, taskId }: LmdbBackendOptions): Database {
  try {
    return open<Uint8Array, Uint8Array>({
      path: folder,
      noSubdir: false,
      keyEncoding: 'binary',
      encoding: 'binary',
      overlappingSync: false,
      maxDbs: 1,
    })
  } catch (error) {
    throw isLmdbCode(error) ? damaged(taskId, error) : unusable(folder, error)
  }
}

function readStoredEnvelope(database: Database): Envelope | undefined {
  const stored = database.getBinary(META_KEY)
  if (stored === undefined) return undefined
  const envelope = readEnvelope(stored)
  if (envelope === undefined) throw new RangeError('its meta record does not match its CRC')
  return envelope
}

/**
 * Reads every row: each against its CRC, all against the running hash. Without an envelope there must be none. The event loop turns in
 * between: a large environment takes seconds.
 */
async function verifyRows(database: Database, envelope: Envelope | undefined): Promise<void> {
  const found = new RowHash()
  let start = new Uint8Array(1)
  for (let count = VERIFY_ROWS_AT_ONCE; count === VERIFY_ROWS_AT_ONCE; await setImmediate()) {
    count = 0
    for (const { key, value } of database.getRange({ start, end: META_KEY, limit: VERIFY_ROWS_AT_ONCE })) {
      checkedValue(key, value)
      found.add(storedCrc(value))
      count++
      if (count < VERIFY_ROWS_AT_ONCE) continue
      // The next key that there can be.
      start = new Uint8Array(key.length + 1)
      start.set(key)
    }
  }
  const expected = envelope?.hash ?? new RowHash()
  if (found.equals(expected)) return
  throw new RangeError(`its ${found.rowCount} rows do not give the hash kept for ${expected.rowCount} rows`)
}

/** The value behind its CRC. */
function checkedValue(key: Uint8Array, stored: Uint8Array): Uint8Array {
  const crc = crc32c(stored, ROW_CRC_BYTES, stored.length, crc32c(key, 0, key.length))
  if (stored.length < ROW_CRC_BYTES || crc !== storedCrc(stored)) {
    throw new RangeError(`the row of key ${Buffer.from(key).toString('hex')} does not match its CRC`)
  }
  return stored.subarray(ROW_CRC_BYTES)
}

/** Whatever goes wrong while reading is damage: the store is wiped and restored. */
function damaged(taskId: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  return new MillraceError('MR5002', { task: taskId, reason: reasonOf(error) }, { cause: error })
}

function unusable(folder: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  return new MillraceError('MR5005', { folder, reason: reasonOf(error) }, { cause: error })
}

/** LMDB's own findings about a file have codes from -30799 up; errors of the system are positive. */
function isLmdbCode(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  return typeof code === 'number' && code < 0
}

/** lmdb rejects with a general text and puts the reason in a second promise, which must not go unhandled. */
async function commitError(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<unknown> }).commitError
  return reason === undefined
    ? error
    : await reason.then(
        () => error,
        (cause: unknown) => cause,
      )
}

function withinLimit(written: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise((_, reject) => {
    const error = new Error(`the write did not end within ${WRITE_WAIT_MS_MAX} ms`)
    timer = setTimeout(() => reject(error), WRITE_WAIT_MS_MAX)
  })
  return Promise.race([written, limit]).finally(() => clearTimeout(timer))
}

/** After a failed commit lmdb may wait for ever for the end of its writes: start the close and do not wait for it. */
function closeBroken(database: Database): void {
  database.close().catch(() => undefined) // the failure that broke it was thrown by the write
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
