// The state folder of a process: its lock and its instance id. Runs on the main thread.
// Keeps SPEC: STATE-10 (one process a folder; the lock of a dead process does not block).

import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { MillraceError } from '../core/errors.ts'
import { acquireFolderLock } from './folder-lock.ts'

/*
 *   <state dir>/instance-id     the id, made once; kept over restarts
 *   <state dir>/lock.<n>.sock   the lock, see folder-lock.ts
 *   <state dir>/lock.pid        process id of the holder, for the message
 *   <state dir>/<task id>/      one LMDB environment a task
 */
const INSTANCE_ID_FILE = 'instance-id'
const PID_FILE = 'lock.pid'

export interface StateDirLock {
  /** Names the process in its group and its transactions. */
  instanceId: string
  /** Lets go of the folder. */
  release(): Promise<void>
}

/**
 * Locks the state folder for this process, makes it if need be, and gives its instance id: the one that is passed, or the
 * one kept in the folder, or a new one that is kept from then on.
 *
 * @throws MillraceError MR5001 when another process has the folder, MR5005 when it cannot be used
 * @example
 * const lock = await lockStateDir('/var/lib/millrace/candles')
 * process.on('exit', () => lock.release())
 */
export async function lockStateDir(dir: string, instanceId?: string): Promise<StateDirLock> {
  try {
    await makeFolder(dir)
    const release = await acquireFolderLock(dir)
    if (release === undefined) throw new MillraceError('MR5001', { folder: dir, pid: await holderPid(dir) })
    try {
      await writeWhole(join(dir, PID_FILE), String(process.pid))
      return { instanceId: await keptInstanceId(dir, instanceId), release }
    } catch (error) {
      await release()
      throw error
    }
  } catch (error) {
    if (error instanceof MillraceError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new MillraceError('MR5005', { folder: dir, reason }, { cause: error })
  }
}

/**
 * Makes a folder and those above it. Not by the `recursive` of Node, which never ends, in a thread that no exit gets
 * rid of, where a system refuses a folder with "no such file" although the folder above is there: /proc does.
 */
async function makeFolder(dir: string): Promise<void> {
  const path = resolve(dir)
  if (await isMade(path)) return
  await makeFolder(dirname(path))
  if (!(await isMade(path))) throw new Error(`no folder can be made in ${dirname(path)}`)
}

/** Whether the folder is there or could be made; false when the one above is missing. */
async function isMade(path: string): Promise<boolean> {
  try {
    await mkdir(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // A file of that name is found out when the lock is opened in it.
    if (code === 'ENOENT' && dirname(path) !== path) return false
    if (code !== 'EEXIST') throw error
  }
  return true
}

async function keptInstanceId(dir: string, given: string | undefined): Promise<string> {
  const file = join(dir, INSTANCE_ID_FILE)
  const kept = (await readIfThere(file))?.trim()
  const instanceId = given ?? (kept || randomUUID())
  if (instanceId !== kept) await writeWhole(file, instanceId)
  return instanceId
}

/** The holder writes its id right after it has the lock; in between it is not known. */
async function holderPid(dir: string): Promise<string> {
  return (await readIfThere(join(dir, PID_FILE))) ?? 'unknown'
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** A reader sees the old text or the new one, never a part. */
async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}
