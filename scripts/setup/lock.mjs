// One set-up at a time in a working copy: a folder as the lock, kept fresh by its owner. Node built-ins only.
import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const BEAT_EVERY_MS = 1000
/** A lock that was not kept fresh for this long has lost its owner (which may have lived in another container). */
const STALE_AFTER_MS = 20_000
const LOOK_EVERY_MS = 200
/** As long as the slowest set-up can take. */
const WAIT_MS_MAX = 30 * 60_000

/**
 * Takes the lock, waiting for another owner to let go. Returns the function that lets go of it.
 *
 * @param {string} path folder that is the lock
 * @param {(pid: string) => void} waiting called once when another owner is there
 */
export async function takeLock(path, waiting) {
  mkdirSync(dirname(path), { recursive: true })
  const endMs = Date.now() + WAIT_MS_MAX
  for (let isTold = false; !tryTake(path); ) {
    if (isStale(path)) {
      breakLock(path)
      if (tryTake(path)) break
    } else if (!isTold) {
      waiting(ownerOf(path) ?? '?')
      isTold = true
    }
    if (Date.now() > endMs) throw new Error(`the lock ${path} was held for over ${WAIT_MS_MAX} ms`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
  const beat = setInterval(() => utimesSync(path, new Date(), new Date()), BEAT_EVERY_MS)
  beat.unref()
  let isHeld = true
  return () => {
    if (!isHeld) return
    isHeld = false
    clearInterval(beat)
    rmSync(path, { recursive: true, force: true })
  }
}

function tryTake(path) {
  try {
    mkdirSync(path)
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
  writeFileSync(join(path, 'pid'), String(process.pid))
  return true
}

function ownerOf(path) {
  try {
    return readFileSync(join(path, 'pid'), 'utf8')
  } catch {
    return undefined // not written yet, or just let go
  }
}

function isStale(path) {
  if (isOld(path)) return true
  const pid = Number(ownerOf(path))
  return pid > 0 && !isAlive(pid)
}

function isOld(path) {
  try {
    return Date.now() - statSync(path).mtimeMs > STALE_AFTER_MS
  } catch {
    return false // let go just now
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code !== 'ESRCH'
  }
}

/**
 * Removes a stale lock. Of several that find it stale one does so, under a lock of its own, and looks again first: else a
 * slow one could remove the lock that a quick one has just taken.
 */
function breakLock(path) {
  const breaking = `${path}.breaking`
  try {
    mkdirSync(breaking)
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    if (isOld(breaking)) rmSync(breaking, { recursive: true, force: true })
    return
  }
  try {
    if (isStale(path)) rmSync(path, { recursive: true, force: true })
  } finally {
    rmSync(breaking, { recursive: true, force: true })
  }
}
