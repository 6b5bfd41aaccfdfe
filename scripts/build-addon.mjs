// Builds the addons with node-gyp: that of Kafka, against the librdkafka that node-rdkafka built, and that of push.
// Needs a C++20 compiler, make and python3. Skips what is newer than its sources.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))

const kafka = {
  folder: join(root, 'src/kafka/rdkafka/native'),
  file: 'build/Release/millrace_kafka.node',
  inputs: () => [join(dirname(require.resolve('node-rdkafka/package.json')), 'build/deps/librdkafka.so.1')],
}
const push = {
  folder: join(root, 'src/push/native'),
  file: 'build/Release/millrace_push.node',
  inputs: () => [],
}
/** `file` is in `folder`, beside the sources; `inputs` are what else it is made from. */
export const ADDONS = [kafka, push]

/** The sources in an addon's folder. */
export function sourcesOf({ folder }) {
  return readdirSync(folder)
    .filter((name) => /\.(cc|h|gyp)$/.test(name))
    .map((name) => join(folder, name))
}

/** Where this Node has its headers, if it brings them, so that none are fetched. */
function nodeDir() {
  const prefix = dirname(dirname(process.execPath))
  return existsSync(join(prefix, 'include', 'node', 'node.h')) ? prefix : undefined
}

/** Runs node-gyp in a folder; throws with its last lines when it fails. */
export function runNodeGyp(cwd, args) {
  const gyp = require.resolve('node-gyp/bin/node-gyp.js')
  const prefix = nodeDir()
  // node-gyp takes npm's settings over its arguments, and there may be one for another Node.
  const env = prefix === undefined ? process.env : { ...process.env, npm_config_nodedir: prefix }
  const run = spawnSync(process.execPath, [gyp, ...args], { cwd, env, encoding: 'utf8' })
  if (run.status === 0) return
  const tail = `${run.stdout}\n${run.stderr}`.trim().split('\n').slice(-40).join('\n')
  throw new Error(`node-gyp ${args.join(' ')} failed in ${cwd}:\n${tail}`)
}

/** Builds all of them, and throws what failed behind the others; `force`: those too that are newer than what they are made from. */
export function buildAddons({ force = false } = {}) {
  const failures = []
  const built = ADDONS.flatMap((addon) => {
    try {
      return [buildAddon(addon, force)]
    } catch (error) {
      failures.push(error)
      return []
    }
  })
  if (failures.length > 0) throw failures[0]
  return built
}

/**
 * Builds a copy of the Kafka addon with AddressSanitizer's checks on in .cache/addon-asan, for scripts/test-addon-asan.mjs,
 * and returns the path of the .node file.
 */
export function buildCheckedAddon({ force = false } = {}) {
  const folder = join(root, '.cache/addon-asan')
  mkdirSync(folder, { recursive: true })
  for (const path of sourcesOf(kafka)) cpSync(path, join(folder, basename(path)), { preserveTimestamps: true })
  return buildAddon({ ...kafka, folder }, force, ['--asan=1'])
}

/** Returns the path of the .node file. */
function buildAddon(addon, force, settings = []) {
  const built = join(addon.folder, addon.file)
  if (!force && isNewer(built, [...sourcesOf(addon), ...addon.inputs()])) return built
  runNodeGyp(addon.folder, ['configure', ...settings])
  runNodeGyp(addon.folder, ['build', '-j', String(availableParallelism())])
  return built
}

function isNewer(built, inputs) {
  if (!existsSync(built)) return false
  const builtAt = statSync(built).mtimeMs
  return inputs.every((path) => !existsSync(path) || statSync(path).mtimeMs <= builtAt)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const force = process.argv.includes('--force')
  const built = process.argv.includes('--address-sanitizer') ? [buildCheckedAddon({ force })] : buildAddons({ force })
  for (const path of built) console.error(`built ${path}`)
}
