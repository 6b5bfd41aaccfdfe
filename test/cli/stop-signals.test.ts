// Signals to a process that runs a job to its end. Keeps SPEC: STOP-1, STOP-2.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buildSync } from 'esbuild'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'

const root = resolve(import.meta.dirname, '../..')

/** Runs a job by the contract of running-job.ts: it ends when it is stopped, or never (`hangs`), or its command fails when it is ready (`throws`). */
const PROGRAM = `
  import { runToEnd } from './src/cli/job-run.ts'
  import { Terminal } from './src/cli/terminal.ts'
  const manner = process.argv[2]
  const counts = { records: 1, accepted: 1, late: 0, dead: 0, filtered: 0, expanded: 0, results: 1, recordsPerSecond: 1, latencyMsP50: 1, latencyMsP95: 1, latencyMsP99: 1, lagRecords: 0, epochs: 1 }
  function start() {
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
  const begun = () => { if (manner === 'throws') throw new Error('the command fell over') }
  await runToEnd(start, new Terminal(process), begun).catch((error) => {
    process.stdout.write(error.message + '\\n')
    process.exit(1)
  })
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

test('what a command throws about a ready job stops the job, and then it fails with it', async () => {
  const running = runningAs('throws')
  expect(await running.exit(), running.stderr).toBe(1)
  expect(running.stderr).toContain('stop for the command failed')
  expect(running.stdout).toBe('the command fell over\n')
})

describe('a start that waits for a broker that never answers', () => {
  let silent: Server
  let asked: Promise<unknown>
  let brokers: string
  beforeEach(async () => {
    silent = createServer()
    asked = once(silent, 'connection')
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    brokers = `127.0.0.1:${(silent.address() as AddressInfo).port}`
  })
  afterEach(() => silent.close())

  const jobRun = (...more: string[]): CommandProcess =>
    new CommandProcess([
      ...[LAUNCHER, 'run', 'examples/candles/job.ts', '--brokers', brokers, '--state-dir', join(folder, 'state')],
      ...['--json', ...more],
    ])
  /** A turn of asking for the broker, disconnecting and some air; far below limits.connectMs (30 s). */
  const END_MS_MAX = 8_000

  test('ends cleanly at the first signal, long before limits.connectMs', async () => {
    const running = jobRun()
    await asked
    const fromMs = performance.now()
    running.child.kill('SIGTERM')
    expect(await running.exit(), running.stderr).toBe(0)
    expect(performance.now() - fromMs).toBeLessThan(END_MS_MAX)
    expect(running.json()).toMatchObject({ command: 'run', records: 0, epochs: 0 })
  })

  test('ends with MR4001 after limits.connectMs when nothing stops it', async () => {
    const running = jobRun('--limits-connect-ms', '2500ms')
    expect(await running.exit()).toBe(1)
    expect(running.json()).toMatchObject({ command: 'run', error: { code: 'MR4001' } })
    expect(running.stderr).toContain('answered within 2500 ms')
  })
})
