// Looks at an LMDB file before LMDB does: what it cannot take ends the process there. Runs on a lane.
// Keeps SPEC: STATE-6 (damage is never read as state).

import { accessSync, closeSync, constants, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'

/*
 * lmdb-js crashes when its open fails, and LMDB when it touches a page behind the end of the file (which is mapped). So
 * both are ruled out by hand. Two meta pages, at 0 and at the page size, the one of the later transaction counts:
 *
 *   24 u32 magic | 28 u32 version (low 16 bits: 2) | 48 u32 page size | 144 u64 last page | 152 u64 transaction
 */
const META_BYTES = 160
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2

interface MetaPage {
  pageBytes: number
  lastPage: number
  transaction: number
}

export function lmdbDataFile(folder: string): string {
  return join(folder, 'data.mdb')
}

/** Throws the system's error when this process may not read and write the environment in `folder`. */
export function assertAccess(folder: string): void {
  accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  for (const file of [lmdbDataFile(folder), join(folder, 'lock.mdb')]) {
    if (existsSync(file)) accessSync(file, constants.R_OK | constants.W_OK)
  }
}

/** What makes the environment's file unfit to be opened, or undefined when there is none or it is fit. */
export function fileDamage(folder: string): string | undefined {
  if (!existsSync(lmdbDataFile(folder))) return undefined
  const file = openSync(lmdbDataFile(folder), 'r')
  try {
    const fileBytes = fstatSync(file).size
    return fileBytes === 0 ? undefined : metaDamage(file, fileBytes)
  } finally {
    closeSync(file)
  }
}

function metaDamage(file: number, fileBytes: number): string | undefined {
  const first = readMetaPage(file, 0)
  const second = first === undefined ? undefined : readMetaPage(file, first.pageBytes)
  if (first === undefined || second === undefined) return 'its file is not an environment'
  const { lastPage, pageBytes } = first.transaction > second.transaction ? first : second
  const missingBytes = (lastPage + 1) * pageBytes - fileBytes
  return missingBytes > 0 ? `its file is cut off, ${missingBytes} bytes are missing` : undefined
}

function readMetaPage(file: number, at: number): MetaPage | undefined {
  const bytes = Buffer.alloc(META_BYTES)
  if (readSync(file, bytes, 0, META_BYTES, at) < META_BYTES) return undefined
  if (bytes.readUInt32LE(24) !== MAGIC || bytes.readUInt16LE(28) !== DATA_VERSION) return undefined
  return {
    pageBytes: bytes.readUInt32LE(48),
    lastPage: Number(bytes.readBigUInt64LE(144)),
    transaction: Number(bytes.readBigUInt64LE(152)),
  }
}
