// Writes the reference pages that are made from tables in the code (src/cli/reference.ts). `--check` writes nothing and
// fails when a page differs.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { importTs } from './setup/import-ts.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const isCheck = process.argv.includes('--check')
const { referencePages } = await importTs('src/cli/reference.ts')

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
