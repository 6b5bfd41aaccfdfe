// Builds the Kafka addon (src/kafka/rdkafka/native) with node-gyp against the librdkafka that node-rdkafka built.
// Needs a C++20 compiler, make and python3. Skips when what is built is newer than its sources.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = /\.(cc|h|gyp)$/
const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))

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

/**
 * Builds the addon and returns the path of the .node file.
 *
 * @param {{ addressSanitizer?: boolean, force?: boolean }} [options] `addressSanitizer` builds a copy with checks on in
 * .cache/addon-asan, for scripts/test-addon-asan.mjs
 */
export function buildAddon(options = {}) {
  const native = options.addressSanitizer ? copySources() : join(root, 'src/kafka/rdkafka/native')
  const built = join(native, 'build/Release/millrace_kafka.node')
  if (!options.force && isNewer(built, native)) return built
  runNodeGyp(native, ['configure', ...(options.addressSanitizer ? ['--asan=1'] : [])])
  runNodeGyp(native, ['build', '-j', String(availableParallelism())])
  return built
}

function copySources() {
  const from = join(root, 'src/kafka/rdkafka/native')
  const to = join(root, '.cache/addon-asan')
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from).filter((file) => SOURCE.test(file))) {
    cpSync(join(from, name), join(to, name), { preserveTimestamps: true })
  }
  return to
}

function isNewer(built, folder) {
  if (!existsSync(built)) return false
  const builtAt = statSync(built).mtimeMs
  const rdkafka = dirname(require.resolve('node-rdkafka/package.json'))
  const sources = readdirSync(folder).filter((name) => SOURCE.test(name))
  const inputs = [...sources.map((name) => join(folder, name)), join(rdkafka, 'build/deps/librdkafka.so.1')]
  return inputs.every((path) => !existsSync(path) || statSync(path).mtimeMs <= builtAt)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = buildAddon({
    addressSanitizer: process.argv.includes('--address-sanitizer'),
    force: process.argv.includes('--force'),
  })
  console.error(`built ${built}`)
}
