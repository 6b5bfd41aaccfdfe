// From a stack to the user's line, with and without Node's own mapping.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundleJob } from '../../src/cli/bundle-job.ts'
import { userPosition } from '../../src/cli/user-position.ts'

let folder: string
let bundle: string
let source: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'user-position-'))
  source = join(folder, 'deep.ts')
  await writeFile(
    source,
    'interface Nothing { a: 1 }\n\nexport function fail(): never {\n  throw new RangeError("too deep")\n}\n',
  )
  const entry = join(folder, 'job.ts')
  await writeFile(entry, "import { fail } from './deep.ts'\n\n\nfail()\n")
  bundle = await bundleJob(entry, entry)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The place of a text in the bundle, as a stack would say it. */
function placeOf(text: string): string {
  const lines = bundle.split('\n')
  const line = lines.findIndex((candidate) => candidate.includes(text))
  return `${line + 1}:${lines[line]!.indexOf(text) + 1}`
}

test('a place in the bundle is mapped to the line and column of its source', () => {
  const stack = `RangeError: too deep\n    at fail (file:///cache/ab.mjs:${placeOf('new RangeError')})\n    at file:///cache/ab.mjs:1:1`
  expect(userPosition(stack, bundle, '/cache/ab.mjs')).toEqual({ file: source, line: 4, column: 9 })
})

test('frames that are not of the user are passed over', () => {
  const stack = `Error: x\n    at node:internal/x:1:2\n    at f (/srv/node_modules/dep/index.js:10:20)\n    at /cache/ab.mjs:${placeOf('fail();')}`
  expect(userPosition(stack, bundle, '/cache/ab.mjs')).toEqual({ file: join(folder, 'job.ts'), line: 4, column: 1 })
})

test('a place that Node has mapped already is taken as it is', () => {
  expect(userPosition(`Error: x\n    at fail (${source}:4:9)`, bundle, '/cache/ab.mjs')).toEqual({
    file: source,
    line: 4,
    column: 9,
  })
})

test('a stack without a line of the user gives nothing', () => {
  expect(userPosition('Error: x\n    at f (/other/file.js:1:2)', bundle, '/cache/ab.mjs')).toBeUndefined()
  expect(userPosition('', bundle, '/cache/ab.mjs')).toBeUndefined()
  expect(userPosition('Error\n    at /cache/ab.mjs:1:1', 'no map', '/cache/ab.mjs')).toBeUndefined()
})
