// What must and must not be in the image's last tree. Read from the tree alone, nothing of it is run but ldd.
import { closeSync, existsSync, lstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { environmentArguments, filesBelow, must } from './namespace.mjs'

const TOOLS = [
  'gcc',
  'g++',
  'cc',
  'c++',
  'cpp',
  'ld',
  'as',
  'make',
  'python3',
  'npm',
  'npx',
  'node-gyp',
  'git',
  'curl',
  'wget',
]
const SYSTEM_FOLDERS = ['usr/local/bin', 'usr/local/sbin', 'usr/bin', 'usr/sbin']

/** @typedef {{ name: string, problems: string[], [fact: string]: unknown }} Check */

/** Every native file finds every library it names. */
export function checkLibraries(root) {
  // A library is looked at with the files that name it: beside them it is found by their paths, not by its own.
  const isLibrary = (path) => /\.so(\.\d+)*$/.test(path)
  const files = [...filesBelow(join(root, 'app')), join(root, 'usr/local/bin/node')]
    .filter((path) => !isLibrary(path))
    .filter(isElf)
  const problems = []
  const libraries = new Set()
  for (const file of files) {
    const inside = file.slice(root.length)
    // musl's builds of the same packages name a loader that is not Debian's; they are never loaded here.
    if (/musl/.test(inside)) continue
    const text = must('chroot', [root, 'env', ...environmentArguments({}), 'sh', '-c', 'ldd "$0" 2>&1 || true', inside])
    if (/not a dynamic executable|statically linked/.test(text)) continue
    for (const line of text.split('\n')) {
      if (/not found/.test(line)) problems.push(`${inside}: ${line.trim()}`)
      const name = line.trim().match(/^(\S+) =>/)?.[1]
      if (name !== undefined) libraries.add(name)
    }
  }
  if (!files.some((file) => file.endsWith('node-librdkafka.node'))) problems.push('node-rdkafka is not in the image')
  for (const addon of ['millrace_kafka.node', 'millrace_push.node'])
    if (!files.some((file) => file.endsWith(addon))) problems.push(`${addon} is not in the image`)
  return { name: 'libraries', problems, nativeFiles: files.length, libraries: [...libraries].sort() }
}

function isElf(path) {
  const bytes = Buffer.alloc(4)
  const file = openSync(path, 'r')
  try {
    return readSync(file, bytes, 0, 4, 0) === 4 && bytes.equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46]))
  } finally {
    closeSync(file)
  }
}

/** No compiler, no package manager of Node, no header or static library. */
export function checkNoTools(root) {
  const problems = []
  for (const folder of SYSTEM_FOLDERS) {
    for (const tool of TOOLS) if (isThere(join(root, folder, tool))) problems.push(`/${folder}/${tool} is in the image`)
  }
  const built = /\.(a|o|c|cc|cpp|h|hpp|gyp|gypi|py)$/
  for (const file of filesBelow(join(root, 'app')))
    if (built.test(file)) problems.push(`${file.slice(root.length)} is for builds`)
  if (existsSync(join(root, 'usr/include/openssl'))) problems.push('/usr/include/openssl is in the image')
  return { name: 'no build tools', problems: problems.slice(0, 20) }
}

const isThere = (path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined

/** Of the lock file's packages those for production, and no other; all versions as locked. */
export function checkPackages(root, lockPath) {
  const { packages } = JSON.parse(readFileSync(lockPath, 'utf8'))
  const problems = []
  let count = 0
  for (const [path, wanted] of Object.entries(packages)) {
    const manifest = join(root, 'app', path, 'package.json')
    if (path === '' || !existsSync(manifest)) continue
    count++
    if (wanted.dev === true) problems.push(`${path} is for development only`)
    const { version } = JSON.parse(readFileSync(manifest, 'utf8'))
    if (version.replace(/^v/, '') !== wanted.version)
      problems.push(`${path} is ${version}, locked is ${wanted.version}`)
  }
  const names = new Set(Object.keys(packages))
  for (const path of packageFolders(join(root, 'app'), 'node_modules')) {
    if (!names.has(path)) problems.push(`${path} is in no lock file`)
  }
  if (count === 0) problems.push('there are no packages')
  return { name: 'production packages', problems, packages: count }
}

function* packageFolders(app, modules) {
  for (const name of readdirSync(join(app, modules))) {
    if (name.startsWith('.')) continue
    const paths = name.startsWith('@')
      ? readdirSync(join(app, modules, name)).map((part) => `${modules}/${name}/${part}`)
      : [`${modules}/${name}`]
    for (const path of paths) {
      yield path
      if (existsSync(join(app, path, 'node_modules'))) yield* packageFolders(app, `${path}/node_modules`)
    }
  }
}

/** What is in the image belongs to root and cannot be written by the user that it runs as. */
export function checkOwners(root) {
  const problems = []
  let bytes = 0
  for (const file of filesBelow(join(root, 'app'))) {
    const { mode, uid, size } = lstatSync(file)
    bytes += size
    if (uid !== 0 || (mode & 0o022) !== 0)
      problems.push(`${file.slice(root.length)}: owner ${uid}, mode ${(mode & 0o777).toString(8)}`)
    if ((mode & 0o004) === 0) problems.push(`${file.slice(root.length)} cannot be read by others`)
  }
  return { name: 'owners', problems: problems.slice(0, 20), appMegabytes: Math.round(bytes / 1e6) }
}
