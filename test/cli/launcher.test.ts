// The launcher sizes libuv's pool before it starts, and as process 1 it ends at signals. Holds SPEC: CLI-5 (16 pool threads
// unless the environment says else), CLI-6.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-launcher-'))
  mkdirSync(join(folder, 'bin'))
  cpSync(join(import.meta.dirname, '../../bin/millrace.cjs'), join(folder, 'bin/millrace.cjs'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** In place of the command: keeps every pool thread busy and prints how many threads the process has. */
const COUNT_THREADS = `
  import { pbkdf2 } from 'node:crypto'
  import { readdirSync } from 'node:fs'
  const before = readdirSync('/proc/self/task').length
  let left = 64
  let most = 0
  for (let i = 0; i < 64; i++) pbkdf2('a', 'b', 1000, 32, 'sha256', () => {
    most = Math.max(most, readdirSync('/proc/self/task').length)
    if (--left === 0) console.log(JSON.stringify({ size: process.env.UV_THREADPOOL_SIZE, most, args: process.argv.slice(2) }))
  })`

function launched(env: Record<string, string>) {
  mkdirSync(join(folder, 'dist/src/cli'), { recursive: true })
  writeFileSync(join(folder, 'dist/src/cli/main.js'), COUNT_THREADS)
  const { UV_THREADPOOL_SIZE: _, ...rest } = process.env
  const run = spawnSync(process.execPath, [join(folder, 'bin/millrace.cjs'), 'a', '--b'], {
    env: { ...rest, ...env },
    encoding: 'utf8',
  })
  return JSON.parse(run.stdout) as { size: string; most: number; args: string[] }
}

test.runIf(process.platform === 'linux')('the pool really has 16 threads, or as many as the environment says', () => {
  const byDefault = launched({})
  const asked = launched({ UV_THREADPOOL_SIZE: '4' })
  expect([byDefault.size, asked.size, byDefault.args]).toEqual(['16', '4', ['a', '--b']])
  expect(byDefault.most - asked.most).toBe(12)
})

test('without a build it says what to run', () => {
  const run = spawnSync(process.execPath, [join(folder, 'bin/millrace.cjs')], { encoding: 'utf8' })
  expect([run.status, run.stderr]).toEqual([1, 'millrace is not built yet: run `node scripts/setup.mjs` first\n'])
})

/** In place of the command: says that it is there, then waits for ever. */
const WAITS = "console.log('up'); setInterval(() => {}, 1000)"
const LISTENS = `process.on('SIGTERM', () => setTimeout(() => process.exit(0), 1)); ${WAITS}`

/** How a command ends that gets a signal once it is up; `pid` is what it believes its number to be. */
async function endingOf(command: string, pid: number, signal: NodeJS.Signals) {
  mkdirSync(join(folder, 'dist/src/cli'), { recursive: true })
  writeFileSync(join(folder, 'dist/src/cli/main.js'), command)
  writeFileSync(join(folder, 'pid.cjs'), `Object.defineProperty(process, 'pid', { value: ${pid} })`)
  const child = spawn(process.execPath, ['-r', join(folder, 'pid.cjs'), join(folder, 'bin/millrace.cjs')])
  child.stdout.once('data', () => child.kill(signal))
  return new Promise((resolve) => child.once('exit', (code, by) => resolve([code, by])))
}

test('as process 1 a command that does not listen ends at SIGTERM and SIGINT, and one that does decides itself', async () => {
  expect(await endingOf(WAITS, 1, 'SIGTERM')).toEqual([143, null])
  expect(await endingOf(WAITS, 1, 'SIGINT')).toEqual([130, null])
  expect(await endingOf(LISTENS, 1, 'SIGTERM')).toEqual([0, null])
  // Any other process is ended by the kernel.
  expect(await endingOf(WAITS, 2, 'SIGTERM')).toEqual([null, 'SIGTERM'])
})
