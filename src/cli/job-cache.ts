// Keeps bundled jobs on disk under the hash of their text: lanes import them from there, also when one is started again.
// Main thread.

import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** No job can be named so: state folders of jobs lie beside it. */
const BUNDLES_FOLDER = '_jobs'

/** Bundles beyond this many are removed, least recently loaded first. A running job's is among the newest in practice. */
const BUNDLES_MAX = 64

/**
 * Writes a bundle to `<folder>/.millrace/_jobs/<hash>.mjs` and gives its path. Where the folder cannot be written, the bundle goes
 * to a folder of its own among the temporary files and is removed when the process exits.
 */
export async function keepBundle(bundle: string, folder: string): Promise<string> {
  const jobs = join(folder, '.millrace', BUNDLES_FOLDER)
  try {
    await mkdir(jobs, { recursive: true })
    return await writeBundle(bundle, jobs)
  } catch {
    // Read-only, full, not a folder: whatever it is, the bundle is a cache and the job can run without it.
    const own = await mkdtemp(join(tmpdir(), 'millrace-job-'))
    process.once('exit', () => rmSync(own, { recursive: true, force: true }))
    return writeBundle(bundle, own)
  }
}

async function writeBundle(bundle: string, jobs: string): Promise<string> {
  const name = `${createHash('sha256').update(bundle).digest('hex').slice(0, 16)}.mjs`
  const path = join(jobs, name)
  const stored = await readFile(path, 'utf8').catch(() => undefined)
  if (stored === bundle) {
    const now = new Date()
    await utimes(path, now, now)
  } else {
    // Two processes may write the same file: each writes its own and moves it into place whole.
    const own = `${path}.${process.pid}.tmp`
    await writeFile(own, bundle)
    await rename(own, path)
  }
  await removeOldest(jobs)
  return path
}

async function removeOldest(jobs: string): Promise<void> {
  const names = (await readdir(jobs)).filter((name) => name.endsWith('.mjs'))
  if (names.length <= BUNDLES_MAX) return
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(jobs, name)
      // Another process may just have removed it: then it counts as the oldest.
      const loadedMs = await stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      )
      return { path, loadedMs }
    }),
  )
  files.sort((a, b) => b.loadedMs - a.loadedMs)
  await Promise.all(files.slice(BUNDLES_MAX).map(({ path }) => rm(path, { force: true })))
}
