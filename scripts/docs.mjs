// Writes the reference pages that are made from tables in the code (src/cli/reference.ts). `--check` writes nothing and
// fails when a page differs.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const isCheck = process.argv.includes('--check')
// Inside the package, so that its packages are found; gone again at the end.
const outfile = join(root, `.cache/docs/reference-${process.pid}.mjs`)

await build({
  entryPoints: [join(root, 'src/cli/reference.ts')],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  packages: 'external',
  logLevel: 'warning',
})
try {
  const { referencePages } = await import(pathToFileURL(outfile).href)
  for (const [path, content] of Object.entries(referencePages())) {
    const full = join(root, path)
    const isEqual = existsSync(full) && readFileSync(full, 'utf8') === content
    if (isCheck && !isEqual) {
      process.stderr.write(`${path} is not what the code says: run \`node scripts/docs.mjs\`\n`)
      process.exitCode = 1
    }
    if (!isCheck && !isEqual) {
      mkdirSync(dirname(full), { recursive: true })
      writeFileSync(full, content)
      process.stderr.write(`wrote ${path}\n`)
    }
  }
} finally {
  rmSync(outfile)
}
