// Builds node-rdkafka with its own librdkafka, when its install script was not run. Skips when the built file loads and
// has zstd, or could not have it. Needs a C++ compiler, make, python3, libssl-dev and zlib1g-dev, and takes libzstd-dev
// where it is. About a minute on two cores.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runNodeGyp } from './build-addon.mjs'
import { hasZstd } from './setup/libraries.mjs'

const require = createRequire(import.meta.url)

/**
 * Whether node-rdkafka loads here, with zstd where that can be, tried in a process of its own (a wrong binary could end
 * this one).
 */
export function isRdkafkaBuilt() {
  const wanted = hasZstd() ? ".features.includes('zstd')" : ''
  const probe = `process.exitCode = require('node-rdkafka')${wanted} ? 0 : 1`
  return spawnSync(process.execPath, ['-e', probe], { cwd: here() }).status === 0
}

/** Builds node-rdkafka; throws with the end of the output when a step fails. */
export function buildRdkafka() {
  if (isRdkafkaBuilt()) return
  const folder = dirname(require.resolve('node-rdkafka/package.json'))
  const jobs = String(availableParallelism())
  if (existsSync(join(folder, 'build'))) ownCopyOf(folder)
  runNodeGyp(folder, ['configure'])
  // The parts of librdkafka need its config.h, which only this step makes: no parallel build before it.
  run(process.execPath, ['../util/configure'], join(folder, 'deps'))
  run('make', [`-j${jobs}`, '-C', 'deps/librdkafka', 'libs'], folder)
  runNodeGyp(folder, ['build', '-j', jobs])
  if (!isRdkafkaBuilt()) throw new Error('node-rdkafka was built but does not load, or is without zstd')
}

/**
 * Files of a package may be hard links into a store that other working copies share, and a build over an old one writes
 * into them. A process that uses the old files keeps them.
 */
function ownCopyOf(folder) {
  const copy = `${folder}-${process.pid}`
  cpSync(folder, copy, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
  rmSync(folder, { recursive: true })
  renameSync(copy, folder)
}

function run(command, args, cwd) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (result.status === 0) return
  const tail = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-40).join('\n')
  throw new Error(
    `${command} ${args.join(' ')} failed in ${cwd}:\n${tail}${result.error ? `\n${result.error.message}` : ''}`,
  )
}

function here() {
  return fileURLToPath(new URL('..', import.meta.url))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildRdkafka()
  console.error('node-rdkafka is built')
}
