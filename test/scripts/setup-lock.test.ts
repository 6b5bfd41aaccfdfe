// The set-up's lock and stamps, with real processes. Keeps SPEC: SETUP-1 (two set-ups at a time do not meet).
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { takeLock } from '../../scripts/setup/lock.mjs'
import { hashOf, isStamped, removeStamp, writeStamp } from '../../scripts/setup/stamp.mjs'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-lock-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const lockModule = pathToFileURL(join(import.meta.dirname, '../../scripts/setup/lock.mjs')).href

/** A process that takes the lock, writes that it is in and out, and works a moment between. */
function contender(): Promise<unknown[]> {
  const code = `
    import { appendFileSync } from 'node:fs'
    import { takeLock } from ${JSON.stringify(lockModule)}
    const letGo = await takeLock(${JSON.stringify(join(folder, 'lock'))}, () => {})
    appendFileSync(${JSON.stringify(join(folder, 'order'))}, 'in ' + process.pid + '\\n')
    await new Promise((resolve) => setTimeout(resolve, 20))
    appendFileSync(${JSON.stringify(join(folder, 'order'))}, 'out ' + process.pid + '\\n')
    letGo()`
  return once(spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' }), 'exit')
}

test('of many processes one at a time is in, and each gets its turn', async () => {
  const exits = await Promise.all([contender(), contender(), contender(), contender()])
  expect(exits.map(([code]) => code)).toEqual([0, 0, 0, 0])
  const lines = readFileSync(join(folder, 'order'), 'utf8').trimEnd().split('\n')
  expect(lines).toHaveLength(8)
  for (let i = 0; i < lines.length; i += 2) expect(lines[i + 1]).toBe(lines[i]!.replace('in', 'out'))
  expect(existsSync(join(folder, 'lock'))).toBe(false)
})

test('a stale lock is broken by one of many', async () => {
  mkdirSync(join(folder, 'lock'))
  writeFileSync(join(folder, 'lock/pid'), '1')
  utimesSync(join(folder, 'lock'), new Date(0), new Date(0))
  await Promise.all([contender(), contender(), contender(), contender()])
  const lines = readFileSync(join(folder, 'order'), 'utf8').trimEnd().split('\n')
  for (let i = 0; i < 8; i += 2) expect(lines[i + 1]).toBe(lines[i]!.replace('in', 'out'))
})

test('a lock whose process is gone is taken over', async () => {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  mkdirSync(join(folder, 'lock'))
  writeFileSync(join(folder, 'lock/pid'), String(child.pid))
  const letGo = await takeLock(join(folder, 'lock'), () => {
    throw new Error('it waited')
  })
  expect(readFileSync(join(folder, 'lock/pid'), 'utf8')).toBe(String(process.pid))
  letGo()
})

test('a lock that nobody keeps fresh is taken over, though a process has its number', async () => {
  mkdirSync(join(folder, 'lock'))
  writeFileSync(join(folder, 'lock/pid'), String(process.pid))
  utimesSync(join(folder, 'lock'), new Date(0), new Date(0))
  const letGo = await takeLock(join(folder, 'lock'), () => {
    throw new Error('it waited')
  })
  letGo()
  letGo()
})

test('whoever waits is told for whom', async () => {
  const letGo = await takeLock(join(folder, 'lock'), () => {})
  const told: string[] = []
  const second = takeLock(join(folder, 'lock'), (pid) => {
    told.push(pid)
    letGo()
  })
  ;(await second)()
  expect(told).toEqual([String(process.pid)])
})

test('a hash changes with a content, a name and a file that is not there', () => {
  const path = join(folder, 'tree')
  const hashes = [hashOf([path])]
  mkdirSync(join(path, 'sub'), { recursive: true })
  writeFileSync(join(path, 'sub/a'), '1')
  hashes.push(hashOf([path]), hashOf([path], 'more'))
  writeFileSync(join(path, 'sub/a'), '2')
  hashes.push(hashOf([path]))
  rmSync(join(path, 'sub/a'))
  writeFileSync(join(path, 'sub/b'), '2')
  hashes.push(hashOf([path]))
  expect(new Set(hashes).size).toBe(hashes.length)
  expect(hashOf([path])).toBe(hashes.at(-1))
})

test('a stamp is good for its own key until it is removed', () => {
  const path = join(folder, 'deep/stamp')
  expect(isStamped(path, 'a')).toBe(false)
  writeStamp(path, 'a')
  expect([isStamped(path, 'a'), isStamped(path, 'b')]).toEqual([true, false])
  removeStamp(path)
  expect(isStamped(path, 'a')).toBe(false)
})
