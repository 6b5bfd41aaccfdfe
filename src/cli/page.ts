// The page of a job: a folder with an index.html, whose main.ts is bundled for browsers at the start, or which is ready-made. Main thread.
// Keeps SPEC: PUSH-38 (a page that cannot be built or served ends the start, with where).

import { existsSync, realpathSync, statSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { type BuildOptions, build, type Plugin } from 'esbuild'
import { MillraceError } from '../core/errors.ts'
import { packageRoot } from '../ops/package-root.ts'
import { type Asset, assetOf, contentTypeOf, type Page } from '../push/page-assets.ts'
import { failureText } from './bundle-job.ts'

const NONE = 'none'
const FOLDER = 'page'
const INDEX = 'index.html'
const ENTRIES = ['main.ts', 'main.tsx']
/** Of the tools that pages are written with. */
const OF_TOOLS = new Set(['tsconfig.json', 'package.json', 'package-lock.json'])
/** What the server has itself. */
const TAKEN = new Set(['views', 'events', 'live'])
const FILES_MAX = 500
const BYTES_MAX = 32 * 1024 * 1024

/**
 * The page that `push.page` says, or the folder `page` beside the job file; undefined: the one that Millrace has. Throws MR7044 with
 * the places of all errors when it cannot be built, MR7045 when it cannot be served.
 *
 * @example
 * await pageFor(undefined, 'examples/candles/job.ts')
 */
export async function pageFor(configured: string | undefined, jobFile: string | undefined): Promise<Page | undefined> {
  if (configured === NONE) return undefined
  if (configured !== undefined) return loadPage(configured)
  if (jobFile === undefined) return undefined
  const folder = join(dirname(jobFile), FOLDER)
  if (!isFolder(folder)) return undefined
  return loadPage(readyMade(folder) ?? folder)
}

/** Pages of the package's own examples are built with the package: what they are made of need not be installed. */
function readyMade(folder: string): string | undefined {
  const inPackage = relative(realpathSync(packageRoot()), realpathSync(folder))
  if (!inPackage.startsWith(`examples${sep}`)) return undefined
  const built = join(packageRoot(), 'dist', inPackage)
  return existsSync(join(built, INDEX)) ? built : undefined
}

/** Reads a folder, and bundles its main.ts if it has one. Throws MR7044, MR7045. */
export async function loadPage(folder: string): Promise<Page> {
  const files = await filesOf(folder)
  if (!files.includes(INDEX)) throw notServed(folder, `it has no ${INDEX}`)
  const entry = ENTRIES.find((name) => files.includes(name))
  const page = new Map<string, Asset>()
  let bytes = 0
  const put = (file: string, body: Uint8Array): void => {
    bytes += body.length
    if (bytes > BYTES_MAX) throw notServed(folder, `it is larger than ${BYTES_MAX / 1024 / 1024} MiB`)
    const path = file === INDEX ? '/' : `/${file.split('/').map(encodeURIComponent).join('/')}`
    page.set(path, assetOf(file, body))
  }
  // Typed and other sources are not served; what is bundled stands in for a file of its name.
  for (const file of files)
    if (contentTypeOf(file) !== undefined && !OF_TOOLS.has(file)) put(file, await readFile(join(folder, file)))
  if (entry !== undefined) for (const { file, body } of await bundlePage(folder, entry)) put(file, body)
  return page
}

async function filesOf(folder: string): Promise<string[]> {
  if (!isFolder(folder)) throw notServed(folder, 'there is no such folder')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    // A folder that Kubernetes mounts has links to files in a hidden one.
    .filter((file) => !/(^|[/\\])\./.test(file) && statSync(join(folder, file), { throwIfNoEntry: false })?.isFile())
    .map((file) => file.split(sep).join('/'))
    .sort()
  if (files.length > FILES_MAX) throw notServed(folder, `it has more than ${FILES_MAX} files`)
  const taken = files.find((file) => TAKEN.has(file.split('/')[0]!))
  if (taken !== undefined) throw notServed(folder, `${taken} lies where the server has something itself`)
  return files
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function notServed(folder: string, reason: string): MillraceError {
  return new MillraceError('MR7045', { page: folder, reason })
}

/** main.js and what else comes of it, as main.css of styles that it imports. Throws MR7044. */
async function bundlePage(folder: string, entry: string): Promise<{ file: string; body: Uint8Array }[]> {
  const outdir = resolve(folder)
  try {
    const { outputFiles } = await build({ ...OPTIONS, entryPoints: [join(outdir, entry)], outdir })
    return outputFiles.map(({ path, contents }) => ({ file: relative(outdir, path), body: contents }))
  } catch (error) {
    throw new MillraceError('MR7044', { page: join(folder, entry), reason: failureText(error) }, { cause: error })
  }
}

/** `millrace/client`, and its hook for React, is that of the running installation, wherever the page lies. */
const clientImport: Plugin = {
  name: 'millrace-client',
  setup(esbuild) {
    esbuild.onResolve({ filter: /^millrace\/client(\/react)?$/ }, ({ path }) => ({
      path: join(packageRoot(), 'dist', 'src', 'client', path.endsWith('/react') ? 'react.js' : 'index.js'),
    }))
    esbuild.onResolve({ filter: /^millrace(\/test)?$/ }, ({ path }) => ({
      errors: [
        { text: `A page cannot use ${path}, which runs in Node; of a job it needs the type alone: import type.` },
      ],
    }))
  },
}

const OPTIONS = {
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  // Licences ask for it.
  legalComments: 'eof',
  loader: { '.svg': 'file', '.png': 'file', '.woff2': 'file' },
  assetNames: '[name]-[hash]',
  logLevel: 'silent',
  plugins: [clientImport],
} satisfies BuildOptions
