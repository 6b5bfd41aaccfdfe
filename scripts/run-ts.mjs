// Runs a TypeScript program of this repository: `node scripts/run-ts.mjs bench/e2e.ts --json`. Sets up what is missing
// first, bundles the program into .cache/run/ (third-party packages stay external) and runs it in this process, so that
// its signals, streams and exit code are its own.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
/** Set for programs that a program of ours starts: everything is set up by then. */
const IS_SET_UP = 'RUN_TS_IS_SET_UP'

/** Modules find files beside themselves by their own URL, not by that of the bundle. */
const ownUrls = {
  name: 'own-urls',
  setup(build) {
    build.onLoad({ filter: /\.(ts|mjs)$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const contents = text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
      return { contents, loader: extname(path) === '.ts' ? 'ts' : 'js' }
    })
  },
}

/** Bundles `entry` (relative to the root); returns the path of the JavaScript file. */
async function bundle(entry) {
  const { build } = await import('esbuild')
  const outfile = join(root, '.cache/run', entry.replace(/\.ts$/, '.mjs'))
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    tsconfigRaw: {},
    plugins: [ownUrls],
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'warning',
    write: false,
  })
  await mkdir(dirname(outfile), { recursive: true })
  // Whole or not at all: two programs may start together.
  const arriving = `${outfile}.${process.pid}.tmp`
  await writeFile(arriving, outputFiles[0].contents)
  await rename(arriving, outfile)
  return outfile
}

const [entry, ...args] = process.argv.slice(2)
if (entry === undefined) {
  process.stderr.write('usage: node scripts/run-ts.mjs ENTRY.ts [arguments]\n')
  process.exit(2)
}
if (process.env[IS_SET_UP] === undefined) {
  const { orExplain, setUp } = await import('./setup.mjs')
  await orExplain(() => setUp())
  if (process.exitCode) process.exit()
  process.env[IS_SET_UP] = '1'
}
const outfile = await bundle(entry)
process.setSourceMapsEnabled(true)
process.argv = [process.argv[0], outfile, ...args]
await import(pathToFileURL(outfile).href)
