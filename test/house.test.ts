// The house rules, read from the tree: who may import whom, who may use which package, how a file opens.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')

/** Folders of src that a folder may import from, itself aside. `kafka-port` is src/kafka/port.ts alone. */
const MATRIX: Record<string, readonly string[]> = {
  core: [],
  job: ['core'],
  codec: ['core'],
  state: ['core'],
  kafka: ['core'],
  protocol: ['core'],
  ops: ['core'],
  lane: ['core', 'job', 'codec', 'state'],
  engine: ['core', 'job', 'kafka-port', 'ops'],
  push: ['core', 'protocol', 'kafka-port', 'state', 'ops'],
  client: ['protocol'],
  reset: ['core', 'job', 'state', 'kafka-port', 'ops', 'lane', 'engine'],
  cli: [
    ...['core', 'job', 'codec', 'state', 'kafka', 'kafka-port', 'protocol', 'ops', 'lane', 'engine', 'push', 'reset'],
    'testing',
  ],
  testing: ['core', 'job', 'codec', 'state', 'kafka', 'kafka-port', 'protocol', 'ops', 'lane', 'engine', 'push', 'cli'],
}

/** Third-party packages and the folders that may use them. */
const PACKAGES: Record<string, readonly string[]> = {
  'node-rdkafka': ['kafka'],
  piscina: ['engine', 'workers'],
  lmdb: ['state'],
  'uWebSockets.js': ['push'],
  msgpackr: ['codec', 'state', 'lane', 'cli', 'core', 'push'],
  commander: ['cli'],
  esbuild: ['cli'],
  hono: ['ops'],
  '@hono/node-server': ['ops'],
  pino: ['ops'],
  yaml: ['ops'],
  zod: ['ops'],
  jose: ['push'],
  '@standard-schema/spec': ['job'],
  'temporal-polyfill': ['core'],
  react: ['client'],
}

interface SourceFile {
  path: string
  folder: string
  text: string
}

function sourceFiles(top: string): SourceFile[] {
  return readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => {
      const full = join(root, top, path)
      return {
        path: relative(root, full),
        folder: top === 'src' ? (path.includes('/') ? path.split('/')[0]! : 'public') : top,
        text: readFileSync(full, 'utf8'),
      }
    })
}

function importsOf(file: SourceFile): string[] {
  const statements = file.text.matchAll(
    /^(?:import|export)\b[^'"]*?from '([^'\n]+)'|\bimport\('([^'\n]+)'\)|^import '([^'\n]+)'/gm,
  )
  return [...statements].map((match) => (match[1] ?? match[2] ?? match[3])!)
}

/** Folder of src that a relative import leads to; what lies in `kafka` itself is the port. */
function targetFolder(file: SourceFile, specifier: string): string {
  const path = relative(join(root, 'src'), resolve(root, dirname(file.path), specifier))
  const [folder, name] = path.split('/') as [string, string | undefined]
  return folder === 'kafka' && name?.endsWith('.ts') ? 'kafka-port' : folder
}

const files = sourceFiles('src')

describe('imports', () => {
  test('every folder imports only from where it may', () => {
    const strays = files.flatMap((file) => {
      if (file.folder === 'public') return file.path === 'src/index.ts' ? [] : [`${file.path} is in no folder`]
      const allowed = MATRIX[file.folder]
      if (allowed === undefined) return [`src/${file.folder} is not in the matrix`]
      return importsOf(file)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => targetFolder(file, specifier))
        .filter((folder) => folder !== file.folder && !(file.folder === 'kafka' && folder === 'kafka-port'))
        .filter((folder) => !allowed.includes(folder))
        .map((folder) => `${file.path} imports from ${folder}`)
    })
    expect(strays).toEqual([])
  })

  test('packages are used only where the house says', () => {
    const strays = files.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
        .map((specifier) =>
          specifier
            .split('/')
            .slice(0, specifier.startsWith('@') ? 2 : 1)
            .join('/'),
        )
        .filter((name) => !(PACKAGES[name] ?? []).includes(file.folder))
        .map((name) => `${file.path} imports ${name}`),
    )
    expect(strays.filter((stray) => !stray.includes('imports millrace'))).toEqual([])
  })
})

describe('files', () => {
  test('each opens with a comment that says what it is', () => {
    expect(files.filter((file) => !/^\/[/*]/.test(file.text)).map((file) => file.path)).toEqual([])
  })
  test('none is longer than 400 lines', () => {
    const long = files.filter((file) => file.text.split('\n').length > 401)
    expect(long.map((file) => file.path)).toEqual([])
  })
  // Holds SPEC: ERR-2.
  test('nobody decides by the text of an error', () => {
    const byText =
      /\.message\s*(?:\.(?:includes|match|startsWith|endsWith|search|indexOf)\(|[!=]==?\s*['"`])|\.test\([\w.]*\bmessage\)/
    const strays = files.filter((file) => byText.test(file.text)).map((file) => file.path)
    expect(strays).toEqual([])
    expect(byText.test("if (error.message.includes('timed out'))")).toBe(true)
  })
  test('names are kebab-case nouns, never utils or helpers', () => {
    const names = files.map((file) => file.path.split('/').at(-1)!)
    expect(
      names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.d)?\.ts$/.test(name) || /utils?|helpers?/.test(name)),
    ).toEqual([])
  })
})
