// Builds dist/ with esbuild: the library, the CLI and the worker, sharing chunks. Milliseconds, no type check
// (`npm run check` has it). Third-party packages stay external. Files are replaced one by one and only when they
// changed, so that two runs can stand side by side.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const entryPoints = ['src/index.ts', 'src/cli/main.ts', 'src/testing/index.ts', 'workers/lane.ts']

async function replace(path, contents) {
  const old = await readFile(path).catch(() => undefined)
  if (old?.equals(contents)) return
  await mkdir(dirname(path), { recursive: true })
  const next = `${path}.${process.pid}.tmp`
  await writeFile(next, contents)
  await rename(next, path)
}

export async function buildDist(outdir = `${root}dist`) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: entryPoints.filter((path) => existsSync(`${root}${path}`)),
    outdir,
    outbase: root,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    sourcemap: true,
    chunkNames: 'chunks/[name]-[hash]',
    logLevel: 'warning',
    write: false,
  })
  // Chunks before the entries that import them.
  for (const file of outputFiles.sort(
    (a, b) => Number(b.path.includes('/chunks/')) - Number(a.path.includes('/chunks/')),
  )) {
    await replace(file.path, Buffer.from(file.contents))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildDist()
