// The lock of the state folder, with real processes that are killed. Quick.
// Keeps SPEC: STATE-10 (one process a folder; the lock of a dead process does not block).

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buildSync } from 'esbuild'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { lockStateDir } from '../../src/state/state-dir.ts'
import { tempFolder } from './temp-folder.ts'

/** A process that locks the folder, says how it went in one line, and stays until it is killed. */
const HOLDER = `
import { lockStateDir } from ${JSON.stringify(join(process.cwd(), 'src/state/state-dir.ts'))}
try {
  const lock = await lockStateDir(process.argv[2])
  console.log('locked ' + lock.instanceId)
} catch (error) {
  console.log(error.code + ' ' + error.details.pid)
}
setInterval(() => {}, 1000)
`
let holderFile: string
const children: ChildProcess[] = []

beforeAll(() => {
  const folder = tempFolder()
  writeFileSync(join(folder, 'holder.mts'), HOLDER)
  holderFile = join(folder, 'holder.mjs')
  buildSync({
    entryPoints: [join(folder, 'holder.mts')],
    outfile: holderFile,
    bundle: true,
    platform: 'node',
    format: 'esm',
  })
})

afterEach(async () => {
  for (const child of children.splice(0)) await killed(child)
})

async function holder(dir: string): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, [holderFile, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
  return { child, line }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

test('a folder that the system refuses to make is told at once', async () => {
  const refused = { code: 'MR5005', details: { folder: '/proc/millrace/state', reason: expect.any(String) } }
  await expect(lockStateDir('/proc/millrace/state')).rejects.toMatchObject(refused)
  const file = join(tempFolder(), 'file')
  writeFileSync(file, '')
  await expect(lockStateDir(file)).rejects.toMatchObject({ code: 'MR5005' })
  await expect(lockStateDir(join(file, 'below'))).rejects.toMatchObject({ code: 'MR5005' })
})

describe('the lock of the state folder', () => {
  test('is refused while another process has it and free as soon as that is killed', async () => {
    const dir = join(tempFolder(), 'state')
    const { child, line } = await holder(dir)
    const instanceId = line.split(' ')[1]!
    await expect(lockStateDir(dir)).rejects.toMatchObject({
      code: 'MR5001',
      details: { folder: dir, pid: String(child.pid) },
    })
    child.kill('SIGSTOP') // alive, but it answers nothing
    await expect(lockStateDir(dir)).rejects.toMatchObject({ code: 'MR5001' })
    await killed(child)
    const lock = await lockStateDir(dir)
    expect(lock.instanceId).toBe(instanceId)
    await lock.release()
  })

  test('goes to exactly one of many processes that come at once, over a dead lock too', async () => {
    const dir = tempFolder()
    const first = await holder(dir)
    await killed(first.child)
    const lines = (await Promise.all(Array.from({ length: 5 }, () => holder(dir)))).map(
      ({ line }) => line.split(' ')[0],
    )
    expect(lines.sort()).toEqual(['MR5001', 'MR5001', 'MR5001', 'MR5001', 'locked'])
  })

  test('is refused to a second lock of the same process until the first is released', async () => {
    const dir = tempFolder()
    const lock = await lockStateDir(dir)
    await expect(lockStateDir(dir)).rejects.toMatchObject({ code: 'MR5001', details: { pid: String(process.pid) } })
    await lock.release()
    await lock.release()
    const again = await lockStateDir(dir)
    expect(again.instanceId).toBe(lock.instanceId)
    await again.release()
    expect(readdirSync(dir).filter((name) => name.endsWith('.sock'))).toEqual([])
  })

  test('goes at once to exactly one of many locks taken in one process', async () => {
    const dir = tempFolder()
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => lockStateDir(dir)))
    const locks = results.filter((result) => result.status === 'fulfilled')
    expect(locks).toHaveLength(1)
    await locks[0]!.value.release()
  })

  test('works in a folder whose path is longer than a socket address', async () => {
    const dir = join(tempFolder(), 'a'.repeat(100), 'b'.repeat(100))
    const { child } = await holder(dir)
    await expect(lockStateDir(dir)).rejects.toMatchObject({ code: 'MR5001', details: { pid: String(child.pid) } })
    await killed(child)
    await (await lockStateDir(dir)).release()
  })
})

describe('the instance id', () => {
  test('is made once, kept in the folder, and replaced by one that is given', async () => {
    const dir = tempFolder()
    const first = await lockStateDir(dir)
    await first.release()
    const second = await lockStateDir(dir)
    await second.release()
    expect(second.instanceId).toBe(first.instanceId)
    expect(first.instanceId).toMatch(/^[\da-f-]{36}$/)
    const named = await lockStateDir(dir, 'pod-3')
    await named.release()
    expect(named.instanceId).toBe('pod-3')
    expect(readFileSync(join(dir, 'instance-id'), 'utf8')).toBe('pod-3')
  })
})

test('a state folder that cannot be made is refused with its path and the reason', async () => {
  const file = join(tempFolder(), 'file')
  writeFileSync(file, '')
  await expect(lockStateDir(join(file, 'state'))).rejects.toMatchObject({ code: 'MR5005', action: 'stop' })
  await expect(lockStateDir(join(file, 'state'))).rejects.toThrow('ENOTDIR')
})
