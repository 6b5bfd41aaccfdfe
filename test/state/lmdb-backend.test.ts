// LMDB passes the cases of every backend, keeps its rows over a close and a kill, and finds damage. Quick.
// Keeps SPEC: STATE-1, STATE-2, STATE-6 (damage is never read as state).

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buildSync } from 'esbuild'
import { open as openLmdb } from 'lmdb'
import { afterAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../src/state/contract.ts'
import { openLmdbBackend, wipeLmdbFolder } from '../../src/state/lmdb-backend.ts'
import { backendCases, hex, type Row, text } from './backend-cases.ts'
import { tempFolder } from './temp-folder.ts'

const opened = (folder: string): Promise<Backend> => openLmdbBackend({ folder, taskId: '0_0' })

backendCases('on disk', () => opened(tempFolder()))

/** A closed environment of rows that are easily found in the file. */
async function filledFolder(): Promise<string> {
  const folder = tempFolder()
  const backend = await opened(folder)
  const rows: Row[] = Array.from({ length: 300 }, (_, i) => [text(`key-${i}`), text(`value-${i}-${'x'.repeat(50)}`)])
  await backend.write(rows, text('meta'))
  await backend.close()
  return folder
}

/** The environment as another program would write it. */
async function writeRaw(folder: string, write: (db: ReturnType<typeof openLmdb>) => Promise<unknown>): Promise<void> {
  const db = openLmdb({
    path: folder,
    noSubdir: false,
    keyEncoding: 'binary',
    encoding: 'binary',
    overlappingSync: false,
  })
  await write(db)
  await db.close()
}

/** What a kill leaves: the mark of an open environment. */
function unclean(folder: string, startCount = 0): void {
  writeFileSync(join(folder, 'in-use'), String(startCount))
}

describe('the LMDB backend', () => {
  test('has its rows and meta after a close', async () => {
    const folder = await filledFolder()
    const backend = await opened(folder)
    expect(hex(backend.meta()!)).toBe(hex(text('meta')))
    expect([...backend.range(text('key-'), text('key.'))]).toHaveLength(300)
    await backend.close()
  })

  test('opens after an unclean end when all rows are right', async () => {
    const folder = await filledFolder()
    unclean(folder)
    const backend = await opened(folder)
    expect([...backend.range(text('key-'), text('key.'))]).toHaveLength(300)
    await backend.close()
    expect(existsSync(join(folder, 'in-use'))).toBe(false)
  })

  test('is taken as damaged unread when start after start ended early, which a write or a clean end makes good', async () => {
    const folder = await filledFolder()
    unclean(folder, 3)
    const backend = await opened(folder)
    expect(readFileSync(join(folder, 'in-use'), 'utf8')).toBe('4')
    await backend.write([], text('meta 2'))
    expect(readFileSync(join(folder, 'in-use'), 'utf8')).toBe('0')
    await backend.close()
    unclean(folder, 4)
    await expect(opened(folder)).rejects.toThrow('4 starts in a row')
    wipeLmdbFolder(folder)
    await (await opened(folder)).close()
  })

  test('finds a flipped bit when the row is read', async () => {
    const folder = await filledFolder()
    const file = join(folder, 'data.mdb')
    const bytes = readFileSync(file)
    let flips = 0
    for (let at = bytes.indexOf('value-77-'); at >= 0; at = bytes.indexOf('value-77-', at + 1), flips++) {
      bytes[at + 20] = bytes[at + 20]! ^ 1
    }
    expect(flips).toBeGreaterThan(0)
    writeFileSync(file, bytes)
    const backend = await opened(folder)
    expect(hex(backend.get(text('key-76'))!)).toMatch(/^76616c75652d3736/)
    expect(() => backend.get(text('key-77'))).toThrow('MR5002')
    expect(() => [...backend.range(text('key-77'), text('key-78'))]).toThrow('MR5002')
    await backend.close()
    // The close was not clean: the next start checks every row before it trusts any.
    await expect(opened(folder)).rejects.toThrow('does not match its CRC')
  })

  test.each([
    ['a row that is not its own', (db: ReturnType<typeof openLmdb>) => db.put(text('key-5'), text('not with a CRC'))],
    ['a row that is missing', (db: ReturnType<typeof openLmdb>) => db.remove(text('key-5'))],
    [
      'an old row with its right CRC',
      async (db: ReturnType<typeof openLmdb>) => {
        await db.put(text('key-5'), db.get(text('key-6')) as Uint8Array)
      },
    ],
    ['a damaged meta record', (db: ReturnType<typeof openLmdb>) => db.put(Uint8Array.of(0xff, 0xff), text('meta'))],
    ['no meta record', (db: ReturnType<typeof openLmdb>) => db.remove(Uint8Array.of(0xff, 0xff))],
  ])('finds %s when it opens after an unclean end', async (_, write) => {
    const folder = await filledFolder()
    unclean(folder)
    await writeRaw(folder, async (db) => write(db))
    await expect(opened(folder)).rejects.toMatchObject({ code: 'MR5002', action: 'rebuild' })
    wipeLmdbFolder(folder)
    const backend = await opened(folder)
    expect(backend.meta()).toBeUndefined()
    await backend.close()
  })

  test('finds an older version of a row with its right CRC', async () => {
    const folder = await filledFolder()
    let old: Uint8Array | undefined
    await writeRaw(folder, async (db) => {
      old = db.get(text('key-9')) as Uint8Array
    })
    const backend = await opened(folder)
    await backend.write([[text('key-9'), text('newer')]], text('meta 2'))
    await backend.close()
    unclean(folder)
    await (await opened(folder)).close()
    unclean(folder)
    await writeRaw(folder, (db) => db.put(text('key-9'), old!))
    await expect(opened(folder)).rejects.toThrow('hash')
  })

  test('refuses a file that is cut off, and one that is no environment', async () => {
    const folder = await filledFolder()
    const file = join(folder, 'data.mdb')
    truncateSync(file, Math.floor(statSync(file).size / 2 / 4096) * 4096)
    await expect(opened(folder)).rejects.toThrow('cut off, ')
    for (const bytes of ['this is no environment'.repeat(1000), 'short']) {
      writeFileSync(file, bytes)
      await expect(opened(folder)).rejects.toMatchObject({ code: 'MR5002' })
    }
    wipeLmdbFolder(folder)
    await (await opened(folder)).close()
  })

  test('refuses a folder that cannot be made', async () => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'file'), '')
    await expect(opened(join(folder, 'file', '0_0'))).rejects.toMatchObject({ code: 'MR5005', action: 'stop' })
  })
})

/**
 * Writes whole generations of rows for ever: every row of generation g has the value g. Says g when its write resolved.
 */
const WRITER = `
import { openLmdbBackend } from ${JSON.stringify(join(process.cwd(), 'src/state/lmdb-backend.ts'))}
const backend = await openLmdbBackend({ folder: process.argv[2], taskId: '0_0' })
const bytes = (text) => new Uint8Array(Buffer.from(text))
for (let g = Number(process.argv[3]); ; g++) {
  const rows = Array.from({ length: 700 }, (_, i) => [bytes('k' + i), g % 7 === 0 && i % 2 ? undefined : bytes(String(g))])
  try {
    await backend.write(rows, bytes(String(g)))
  } catch (error) {
    console.log('failed ' + error.message)
    await backend.close()
    process.exit(0)
  }
  console.log(g)
}
`

/** Where the bundled writer finds lmdb. */
const writerFile = join(process.cwd(), 'node_modules', '.cache', `lmdb-writer-${process.pid}.mjs`)
afterAll(() => rmSync(writerFile, { force: true }))

function buildWriter(): void {
  const folder = tempFolder()
  writeFileSync(join(folder, 'writer.mts'), WRITER)
  const entryPoints = [join(folder, 'writer.mts')]
  buildSync({
    entryPoints,
    outfile: writerFile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['lmdb'],
  })
}

describe('the LMDB backend of a process', () => {
  test('that is killed holds one whole generation, at least the last that was acknowledged', async () => {
    buildWriter()
    const folder = tempFolder()
    let next = 1
    for (let round = 0; round < 4; round++) {
      const child = spawn(process.execPath, [writerFile, folder, String(next)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let acknowledged = 0
      const lines = createInterface({ input: child.stdout })
      for await (const line of lines) {
        acknowledged = Number(line)
        if (acknowledged >= next + 3 + round) child.kill('SIGKILL')
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      const backend = await opened(folder)
      const generation = Number(Buffer.from(backend.meta()!).toString())
      expect(generation).toBeGreaterThanOrEqual(acknowledged)
      const values = [...backend.range(text('k'), text('l'))].map(([, value]) => Buffer.from(value).toString())
      expect(new Set(values)).toEqual(new Set([String(generation)]))
      expect(values).toHaveLength(generation % 7 === 0 ? 350 : 700)
      await backend.close()
      next = generation + 1
    }
    expect(existsSync(join(folder, 'data.mdb'))).toBe(true)
  })

  test('whose disk is full fails the write and leaves nothing that a later start could trust', async () => {
    buildWriter()
    const folder = tempFolder()
    // Files of this shell's children may not grow beyond 96 KiB: what a full disk looks like to LMDB.
    const child = spawn('bash', ['-c', `ulimit -f 96; exec "$0" "$@"`, process.execPath, writerFile, folder, '1'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stdout })) lines.push(line)
    expect(lines.at(-1)).toMatch(/^failed /)
    const backend = await opened(folder)
    expect(backend.meta()).toBeUndefined()
    expect([...backend.range(text('k'), text('l'))]).toEqual([])
    await backend.close()
  })
})
