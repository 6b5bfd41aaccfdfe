// The mark of an open environment: a file that is there from open to a clean close. Runs on a lane.
// Keeps SPEC: STATE-6 (damage is never read as state).

import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/*
 * The file holds the number of starts in a row that saw neither a write nor a clean close. A kill leaves it at 0 or 1; it
 * only climbs when a start dies early again and again, as it does when LMDB itself falls over a damaged page.
 */
const MARK_FILE = 'in-use'

/** Starts in a row without a write, undefined after a clean close. */
export function startsWithoutWrite(folder: string): number | undefined {
  try {
    return Number(readFileSync(join(folder, MARK_FILE), 'utf8')) || 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Sets the mark, on disk when it returns: a loss of power must not make an unclean end look clean. */
export function setOpenMark(folder: string, startCount: number): void {
  const file = openSync(join(folder, MARK_FILE), 'w')
  try {
    writeSync(file, String(startCount))
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  const directory = openSync(folder, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

export function clearOpenMark(folder: string): void {
  rmSync(join(folder, MARK_FILE), { force: true })
}
