// Loading job files: bundling, the one instance of Millrace, and errors at the user's lines.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import candles from '../../examples/candles/job.ts'
import { loadJob } from '../../src/cli/load-job.ts'
import { MillraceError } from '../../src/core/errors.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'load-job-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function write(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await mkdir(resolve(path, '..'), { recursive: true })
  await writeFile(path, text)
  return path
}

async function errorOf(file: string): Promise<MillraceError> {
  const error = await loadJob(file, { folder }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(MillraceError)
  return error as MillraceError
}

const head = `import { count, job, json, kafka } from 'millrace'
interface Event { id: string }
const events = kafka('events', { value: json<Event>(), key: 'id' })
`
const good = `${head}export default job('x').from(events).keyBy('id').aggregate({ n: count() }).to(kafka('out'))\n`

test('a TypeScript job is bundled, kept under its hash and compiled to the plan of its source', async () => {
  const loaded = await loadJob('examples/candles/job.ts', { folder })
  expect(loaded.job.plan).toEqual(candles.build().plan)
  expect(loaded.job.functions).toHaveLength(candles.build().functions.length)
  expect(loaded.sourceFile).toBe(resolve('examples/candles/job.ts'))
  expect(fileURLToPath(loaded.jobUrl)).toMatch(new RegExp(`^${folder}/\\.millrace/_jobs/[0-9a-f]{16}\\.mjs$`))
})

test('the same file is the same bundle, a changed one is another', async () => {
  const file = await write('twice.ts', good)
  const first = await loadJob(file, { folder })
  expect((await loadJob(file, { folder })).jobUrl).toBe(first.jobUrl)
  await write('twice.ts', good.replace("'out'", "'other'"))
  const changed = await loadJob(file, { folder })
  expect(changed.jobUrl).not.toBe(first.jobUrl)
  expect(changed.job.plan.operators.map((operator) => operator.name)).toContain('to-other')
})

test('own modules and JSON are bundled, packages are found from the job file and built-ins stay outside', async () => {
  await write('lib/name.ts', "export const name: string = 'bundled'\n")
  await write('settings.json', '{ "topic": "from-json" }')
  await write(
    'node_modules/dep/package.json',
    '{ "name": "dep", "type": "module", "exports": { "import": "./esm.js" } }',
  )
  await write('node_modules/dep/esm.js', "export const window = 'from-package'\n")
  const file = await write(
    'own.mts',
    `import { join } from 'node:path'
import os from 'os'
import { count, job, json, kafka, tumbling } from 'millrace'
import { window } from 'dep'
import { name } from './lib/name.ts'
import settings from './settings.json'
const topic = join(settings.topic) + (typeof os.cpus === 'function' ? '' : '-none')
export default job(name).from(kafka(topic, { value: json<{ id: string }>(), key: 'id' })).keyBy('id')
  .window(window, tumbling('1s')).aggregate({ n: count() }).to(kafka('out'))
`,
  )
  const { plan } = (await loadJob(file, { folder: await mkdtemp(join(folder, 'elsewhere-')) })).job
  expect([plan.job, plan.source.topic, plan.operators[1]?.name]).toEqual(['bundled', 'from-json', 'from-package'])
})

test('JavaScript jobs and compiled exports load too', async () => {
  const file = await write(
    'plain.mjs',
    "import { job, kafka } from 'millrace'\nexport default job('plain').from(kafka('a')).to(kafka('b')).build()\n",
  )
  expect((await loadJob(file, { folder })).job.plan.job).toBe('plain')
})

test('the topmost line of the user is named when the file throws, also in a file that it imports', async () => {
  await write(
    'deep.ts',
    'interface Nothing { a: 1 }\n\nexport function fail(): never {\n  throw new RangeError("too deep")\n}\n',
  )
  const file = await write('throws.ts', `import { fail } from './deep.ts'\n${head}\nfail()\n`)
  const error = await errorOf(file)
  expect(error.code).toBe('MR1005')
  expect(error.details.file).toBe(file)
  expect(error.details.reason).toMatch(/^RangeError: too deep \(.*deep\.ts:4:9\)$/)
})

test('a syntax error is told with its line', async () => {
  const error = await errorOf(await write('syntax.ts', `${head}export default job('x')\n  .from(events => => 1)\n`))
  expect(error.code).toBe('MR1005')
  expect(error.details.reason).toMatch(/Unexpected "=>" \(.*syntax\.ts:5:19\): \.from\(events => => 1\)/)
})

test('a package that is not there is told with the line that imports it', async () => {
  const error = await errorOf(await write('missing.ts', `import x from 'not-there'\n${good}x()\n`))
  expect(error.code).toBe('MR1005')
  expect(error.details.reason).toMatch(/Could not resolve "not-there".* \(.*missing\.ts:1:15\)/)
})

test('an import that millrace does not export is told', async () => {
  const error = await errorOf(
    await write('no-export.ts', good.replace('count,', 'count, medianOf,').concat('medianOf()\n')),
  )
  expect(error.code).toBe('MR1005')
  expect(error.details.reason).toMatch(/medianOf/)
})

test('a file that is not there, and a folder, are told', async () => {
  expect((await errorOf(join(folder, 'nowhere.ts'))).details.reason).toBe('there is no such file')
  expect((await errorOf(folder)).details.reason).toBe('it is not a file')
})

test('a file without a job is MR1001', async () => {
  expect((await errorOf(await write('none.ts', 'export const x = 1\n'))).code).toBe('MR1001')
  expect(
    (await errorOf(await write('half.ts', good.replace(".to(kafka('out'))", '').replace('count()', 'count(1)')))).code,
  ).toBe('MR1002')
})

test('a job that is not valid is refused with its own code, although its Millrace is another copy', async () => {
  const bad = await errorOf(await write('bad.ts', good.replace("job('x')", "job('X')")))
  expect(bad.code).toBe('MR1002')
  expect(bad.message).toContain("the name of the job must be 1 to 64 of a-z, 0-9 and '-', not 'X'")
})

test('a millrace error thrown while the file loads keeps its code', async () => {
  const file = await write(
    'at-once.ts',
    good
      .replace('export default ', 'export default (')
      .replace(/\)\n$/, ')).build().plan\n')
      .replace("job('x')", "job('X')"),
  )
  expect((await errorOf(file)).code).toBe('MR1002')
})

test('at most 64 bundles are kept, the oldest go', async () => {
  const own = await mkdtemp(join(folder, 'cache-'))
  const jobs = join(own, '.millrace', '_jobs')
  await mkdir(jobs, { recursive: true })
  await Promise.all(Array.from({ length: 70 }, (_, i) => writeFile(join(jobs, `${i}.mjs`), '')))
  const { jobUrl } = await loadJob('examples/candles/job.ts', { folder: own })
  expect(await readdir(jobs)).toHaveLength(64)
  expect(await readFile(fileURLToPath(jobUrl), 'utf8')).toContain('candles-late')
})

test('where the folder cannot be written the bundle goes to a temporary one', async () => {
  const own = await mkdtemp(join(folder, 'taken-'))
  await writeFile(join(own, '.millrace'), 'a file in the way')
  const { jobUrl } = await loadJob('examples/candles/job.ts', { folder: own })
  expect(fileURLToPath(jobUrl).startsWith(join(tmpdir(), 'millrace-job-'))).toBe(true)
})
