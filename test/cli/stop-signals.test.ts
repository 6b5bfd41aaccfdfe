// Signals to a process that runs a job to its end. Keeps SPEC: STOP-1, STOP-2.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buildSync } from 'esbuild'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { CommandProcess, endCommandProcesses } from '../harness/command-process.ts'

const root = resolve(import.meta.dirname, '../..')

/** Runs a job by the contract of running-job.ts: it ends when it is stopped, or never (`hangs`), or starts only on SIGUSR2. */
const PROGRAM = `
  import { once } from 'node:events'
  import { runToEnd } from './src/cli/job-run.ts'
  import { Terminal } from './src/cli/terminal.ts'
  const manner = process.argv[2]
  const counts = { records: 1, accepted: 1, late: 0, dead: 0, filtered: 0, expanded: 0, results: 1, recordsPerSecond: 1, latencyMsP50: 1, latencyMsP95: 1, latencyMsP99: 1, lagRecords: 0, epochs: 1 }
  async function start() {
    process.stderr.write('starting\\n')
    if (manner === 'slow') await once(process, 'SIGUSR2')
    let end
    const done = new Promise((resolve) => { end = resolve })
    return {
      ready: Promise.resolve({ millis: 1, partitions: 4, lanes: 1, urls: { admin: 'http://localhost:1', push: undefined } }),
      done,
      stop: async (reason) => {
        process.stderr.write('stop for ' + reason + '\\n')
        if (manner !== 'hangs') end(counts)
      },
      snapshot: () => counts,
    }
  }
  setInterval(() => {}, 1000)
  await runToEnd(start, new Terminal(process))
  process.stdout.write('ended\\n')
  process.exit(0)`

let folder: string
let program: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-signals-'))
  program = join(folder, 'program.mjs')
  buildSync({
    stdin: { contents: PROGRAM, resolveDir: root, loader: 'js' },
    outfile: program,
    bundle: true,
    format: 'esm',
    platform: 'node',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  })
})
afterAll(() => rmSync(folder, { recursive: true }))

afterEach(endCommandProcesses)

const runningAs = (manner: string): CommandProcess => new CommandProcess([program, manner])

test.each(['SIGTERM', 'SIGINT'] as const)('the first %s stops the job and the process ends with 0', async (signal) => {
  const running = runningAs('good')
  await running.saying(/ready in 1 ms/)
  running.child.kill(signal)
  expect(await running.exit()).toBe(0)
  expect(running.stderr).toContain(`${signal}: stopping; a second signal ends at once\nstop for ${signal}\n`)
  expect(running.stdout).toBe('ended\n')
})

test.each([
  ['SIGTERM', 'SIGTERM', 143],
  ['SIGINT', 'SIGINT', 130],
  ['SIGTERM', 'SIGINT', 130],
] as const)('%s and then %s end at once with %d, though the stop hangs', async (first, second, code) => {
  const running = runningAs('hangs')
  await running.saying(/ready in 1 ms/)
  running.child.kill(first)
  await running.saying(new RegExp(`stop for ${first}`))
  running.child.kill(second)
  expect(await running.exit()).toBe(code)
  expect(running.stdout).toBe('')
})

test('a signal while the job starts stops it as soon as it has started', async () => {
  const running = runningAs('slow')
  await running.saying(/starting/)
  running.child.kill('SIGTERM')
  await running.saying(/SIGTERM: stopping/)
  running.child.kill('SIGUSR2')
  expect(await running.exit()).toBe(0)
  expect(running.stderr).toContain('stop for SIGTERM')
})
