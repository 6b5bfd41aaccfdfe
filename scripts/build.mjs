// Builds dist/ with esbuild: the library, the CLI and the worker, sharing chunks, and the client for browsers, each entry of it whole and
// small; then the pages of the examples, so that
// they work where what they are made of is not installed. Milliseconds, no type check (`npm run check` has it). Third-party packages stay external. Files are replaced one by one and only
// when they changed, so that two runs can stand side by side.
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const entryPoints = ['src/index.ts', 'src/cli/main.ts', 'src/cli/page.ts', 'src/testing/index.ts', 'workers/lane.ts']
export const CLIENT_ENTRY_POINTS = ['src/client/index.ts', 'src/client/react.ts']

async function replace(path, contents) {
  const old = await readFile(path).catch(() => undefined)
  if (old?.equals(contents)) return
  await mkdir(dirname(path), { recursive: true })
  const next = `${path}.${process.pid}.tmp`
  await writeFile(next, contents)
  await rename(next, path)
}

const common = {
  absWorkingDir: root,
  outbase: root,
  bundle: true,
  format: 'esm',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
  write: false,
}

/** What runs in Node, in chunks that the entries share. */
const forNode = (outdir) => ({
  ...common,
  outdir,
  entryPoints: entryPoints.filter((path) => existsSync(`${root}${path}`)),
  splitting: true,
  platform: 'node',
  target: 'node20',
  chunkNames: 'chunks/[name]-[hash]',
})

/** What runs in browsers too. */
export const forBrowsers = (outdir) => ({
  ...common,
  outdir,
  entryPoints: CLIENT_ENTRY_POINTS,
  platform: 'browser',
  target: 'es2022',
  minify: true,
})

export async function buildDist(outdir = `${root}dist`) {
  const built = await Promise.all([build(forNode(outdir)), build(forBrowsers(outdir))])
  const outputFiles = built.flatMap((each) => each.outputFiles)
  // Chunks before the entries that import them.
  for (const file of outputFiles.sort(
    (a, b) => Number(b.path.includes('/chunks/')) - Number(a.path.includes('/chunks/')),
  )) {
    await replace(file.path, Buffer.from(file.contents))
  }
  await buildPages(outdir)
}

/** `examples/<name>/page` as it is served, in `<outdir>/examples/<name>/page`. */
async function buildPages(outdir) {
  const page = join(outdir, 'src/cli/page.js')
  if (!existsSync(page)) return
  const { loadPage } = await import(pathToFileURL(page).href)
  for (const name of await readdir(join(root, 'examples'))) {
    const folder = join('examples', name, 'page')
    if (!existsSync(join(root, folder, 'index.html'))) continue
    for (const [path, { body }] of await loadPage(join(root, folder)))
      await replace(join(outdir, folder, path === '/' ? 'index.html' : decodeURIComponent(path)), Buffer.from(body))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildDist()
