// The steps of the set-up: what each needs, how it knows that it is done, how it is done. Node built-ins only.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ADDONS, sourcesOf } from '../build-addon.mjs'
import { browserPath } from './browser.mjs'
import { isOnPath, root, run, SetupError } from './commands.mjs'
import { aptLine, hasZstd, missingLibraries } from './libraries.mjs'
import { hashOf, isStamped, removeStamp, writeStamp } from './stamp.mjs'

const NODE_MIN = [20, 11]
const logs = join(root, '.cache/setup')
/** Stamps of what lives in node_modules lie there too: they go with it. */
const moduleStamps = join(root, 'node_modules/.millrace')
const abi = `${process.platform}-${process.arch}-${process.versions.modules}`
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'))

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {number} aboutSeconds on two cores
 * @property {() => boolean} isDone quick: stamps and files only
 * @property {() => Promise<void>} run throws a SetupError with what to do
 */

/** @returns {Step[]} */
export function setupSteps() {
  return [tools, libraries, packages, rdkafka, natives, addon, dist]
}

/** A C++ tool chain is needed only while something is not built yet. */
const tools = {
  name: 'tools',
  aboutSeconds: 0,
  isDone: () => isNodeNewEnough() && (rdkafka.isDone() && addon.isDone() ? true : missingTools().length === 0),
  async run() {
    if (!isNodeNewEnough()) {
      throw new SetupError(`Node ${NODE_MIN.join('.')} or newer is needed, this is ${process.versions.node}`)
    }
    const missing = missingTools()
    if (missing.length === 0) return
    const commands = missing.map(([command]) => command).join(', ')
    const debian = missing.map(([, name]) => name).join(' ')
    throw new SetupError(`${commands} not found, needed to build node-rdkafka: apt-get install -y ${debian}`)
  },
}

function isNodeNewEnough() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  return major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])
}

function missingTools() {
  const needed = [
    ['g++', 'g++'],
    ['make', 'make'],
    ['python3', 'python3'],
  ]
  return needed.filter(([command]) => !isOnPath(command))
}

/** Libraries for librdkafka, looked for only while it is not built yet. Root on Debian gets those that are missing. */
const libraries = {
  name: 'libraries',
  aboutSeconds: 5,
  isDone: () => rdkafka.isDone() || missingLibraries().length === 0,
  async run() {
    const reason = await installLibraries(missingLibraries())
    const missing = missingLibraries()
    if (missing.length === 0) return
    const words = missing.map(({ debian, what }) => `${debian} (${what})`).join(', ')
    const why = reason === undefined ? '' : `; installing it failed: ${reason}`
    const text = `librdkafka is built with ${words}, not found: ${aptLine(missing)}${why}`
    // Elsewhere than on Linux headers lie where librdkafka's own build finds them.
    if (process.platform === 'linux' && missing.some(({ isNeeded }) => isNeeded)) throw new SetupError(text)
    process.stderr.write(`set-up: ${text}; going on without, run the set-up again after it\n`)
  },
}

/** Undefined when it was done, or is not to be done here; else the first line of what went wrong. */
async function installLibraries(missing) {
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) return undefined
  const log = join(logs, 'libraries.log')
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  const names = missing.map(({ debian }) => debian)
  try {
    await run(log, 'apt-get', ['update'], { env })
    await run(log, 'apt-get', ['install', '-y', '--no-install-recommends', ...names], { env })
    return undefined
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    return error.message.split('\n')[0]
  }
}

/** Done when everything in the lock file is installed in its version (what is optional may be missing). */
const packages = {
  name: 'npm packages',
  aboutSeconds: 15,
  isDone() {
    const installedPath = join(root, 'node_modules/.package-lock.json')
    if (!existsSync(installedPath)) return false
    const installed = readJson(installedPath).packages
    return Object.entries(readJson(join(root, 'package-lock.json')).packages).every(
      ([path, wanted]) =>
        path === '' || (installed[path] === undefined ? wanted.optional : installed[path].version === wanted.version),
    )
  },
  // Scripts of packages are not run: npm 11 would ask for approval of each, and node-rdkafka is built below on all cores.
  run: () => run(join(logs, 'npm.log'), 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']),
}

const rdkafkaFolder = join(root, 'node_modules/node-rdkafka')
const rdkafkaStamp = join(moduleStamps, 'node-rdkafka')
/** With zstd where it can have it: libzstd may come after a first build. One that has it is good without the headers too. */
function rdkafkaKey() {
  const plain = `${readJson(join(rdkafkaFolder, 'package.json')).version} ${abi}`
  return hasZstd() || isStamped(rdkafkaStamp, `${plain} zstd`) ? `${plain} zstd` : plain
}
const rdkafka = {
  name: 'node-rdkafka',
  aboutSeconds: 100,
  isDone: () => existsSync(rdkafkaFolder) && isStamped(rdkafkaStamp, rdkafkaKey()),
  async run() {
    // Finds for itself that a build by other hands is there and loads.
    await run(join(logs, 'node-rdkafka.log'), process.execPath, [join(root, 'scripts/build-rdkafka.mjs')])
    writeStamp(rdkafkaStamp, rdkafkaKey())
  },
}

/** Packages whose native parts come ready-made: do they load here? */
const nativesStamp = join(moduleStamps, 'natives')
const nativesKey = () => `${hashOf([join(root, 'package-lock.json')])} ${abi}`
const nativesProbe = `
import { open } from 'lmdb'
import { transformSync } from 'esbuild'
import { isNativeAccelerationEnabled } from 'msgpackr'
if (typeof open !== 'function') throw new Error('lmdb has no open')
if (!transformSync('let a: number = 1', { loader: 'ts' }).code.includes('let a = 1')) throw new Error('esbuild does not work')
console.log('msgpackr native acceleration: ' + isNativeAccelerationEnabled)
`
const natives = {
  name: 'native parts load',
  aboutSeconds: 1,
  isDone: () => isStamped(nativesStamp, nativesKey()),
  async run() {
    await run(join(logs, 'natives.log'), process.execPath, ['--input-type=module', '-e', nativesProbe])
    writeStamp(nativesStamp, nativesKey())
  },
}

const addonStamp = join(moduleStamps, 'addon')
const addonScript = join(root, 'scripts/build-addon.mjs')
const addonKey = () => `${hashOf([...ADDONS.flatMap(sourcesOf), addonScript])} ${rdkafkaKey()}`
const addon = {
  name: 'native addons',
  aboutSeconds: 25,
  isDone: () =>
    existsSync(rdkafkaFolder) &&
    ADDONS.every(({ folder, file }) => existsSync(join(folder, file))) &&
    isStamped(addonStamp, addonKey()),
  async run() {
    const key = addonKey()
    // Forced: what is there may be of another Node.
    await run(join(logs, 'addon.log'), process.execPath, [addonScript, '--force'])
    writeStamp(addonStamp, key)
  },
}

const distStamp = join(root, 'dist/.stamp')
const distKey = () =>
  hashOf(
    ['src', 'workers', 'examples', 'package.json', 'scripts/build.mjs'].map((path) => join(root, path)),
    process.version,
  )
const dist = {
  name: 'dist',
  aboutSeconds: 1,
  isDone: () => existsSync(join(root, 'dist/src/cli/main.js')) && isStamped(distStamp, distKey()),
  async run() {
    removeStamp(distStamp)
    const key = distKey() // before the build: a change while it runs is built next time
    await run(join(logs, 'dist.log'), process.execPath, [join(root, 'scripts/build.mjs')])
    writeStamp(distStamp, key)
  },
}

/** For the tests of the browser page only. */
export const chromium = {
  name: 'chromium',
  aboutSeconds: 40,
  isDone: () => browserPath() !== undefined,
  async run() {
    const isRoot = process.getuid?.() === 0
    if (!isRoot || !isOnPath('apt-get')) {
      throw new SetupError('Chromium is needed for the browser tests: apt-get install -y chromium (as root)')
    }
    const env = { DEBIAN_FRONTEND: 'noninteractive' }
    await run(join(logs, 'chromium.log'), 'apt-get', ['update'], { env })
    await run(join(logs, 'chromium.log'), 'apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], { env })
  },
}
