// Modules of src for scripts: bundled, imported, gone again.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
let count = 0

/**
 * The exports of a TypeScript module of this repository. Third-party packages stay external, so they must be installed.
 *
 * @example
 * const { loadConfig } = await importTs('src/ops/config.ts')
 */
export async function importTs(entry) {
  const { build } = await import('esbuild')
  // Inside the package, so that its packages are found.
  const outfile = join(root, `.cache/import/${process.pid}-${count++}.mjs`)
  await build({
    entryPoints: [join(root, entry)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'warning',
  })
  try {
    return await import(pathToFileURL(outfile).href)
  } finally {
    rmSync(outfile)
  }
}
