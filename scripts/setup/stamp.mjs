// Stamps: what a finished step was made from, so that it is done again only when that changes. Node built-ins only.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A hash over files and folders (recursively, names and contents). Paths that do not exist count as such. */
export function hashOf(paths, ...more) {
  const hash = createHash('sha256').update(JSON.stringify(more))
  for (const path of paths) addPath(hash, path)
  return hash.digest('hex')
}

function addPath(hash, path) {
  if (!existsSync(path)) return hash.update(`\0none ${path}`)
  const entries = listing(path)
  if (entries === undefined) return hash.update(`\0file ${path}\0`).update(readFileSync(path))
  for (const name of entries) addPath(hash, join(path, name))
  return hash
}

/** The sorted names in a folder, or undefined for a file. */
function listing(path) {
  try {
    return readdirSync(path).sort()
  } catch (error) {
    if (error.code === 'ENOTDIR') return undefined
    throw error
  }
}

export function isStamped(path, key) {
  return existsSync(path) && readFileSync(path, 'utf8') === key
}

export function writeStamp(path, key) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, key)
}

export function removeStamp(path) {
  rmSync(path, { force: true })
}
