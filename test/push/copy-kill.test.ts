// A process that is killed while it writes copies: what the next one finds is the view as it was at some offset. Holds SPEC: PUSH-12, PUSH-40.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buildSync } from 'esbuild'
import { afterAll, expect, test } from 'vitest'
import { createLog } from '../../src/ops/log.ts'
import { systemClock } from '../../src/ops/system-clock.ts'
import { type CopiedView, openCopiedView } from '../../src/push/copied-view.ts'
import { pushMetrics } from '../../src/push/push-metrics.ts'

const KEYS = 500
const RECENT = 300

/** Record `i` of the topic, in the writer too. */
function record(i: number): { key: string; json: string | undefined } {
  return { key: `K${(i * 7919) % KEYS}`, json: i % 5 === 0 ? undefined : `{"n":${i}}` }
}

/** Applies records for ever, writes at each turn, and says how far it is and how many writes have ended. */
const WRITER = `
import { createLog } from ${JSON.stringify(join(process.cwd(), 'src/ops/log.ts'))}
import { openCopiedView } from ${JSON.stringify(join(process.cwd(), 'src/push/copied-view.ts'))}
const KEYS = ${KEYS}
${record.toString()}
let turns = 0
let writes = 0
const clock = { wallMs: () => Date.now(), monotonicMs: () => turns * 10_000 }
const { store, keeper } = await openCopiedView({
  dir: process.argv[2],
  identity: { view: 'v', topic: 't', topicId: 'id', format: 'json' },
  marks: { low: [0], high: [1e9], removalMs: 3_600_000, isIdKnown: true },
  limits: { viewRowsMax: 350, viewBytesMax: 1 << 20, recentRowsMax: ${RECENT} },
  counts: { memoryBytes: { set() {} }, rowsReadBack: { add() {} }, rowsWritten: { add() { writes++ } } },
  clock,
  log: createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} }),
})
for (let i = store.nextOffset(0); ; ) {
  for (const end = i + 40; i < end; i++) store.apply({ partition: 0, offset: i, timestampMs: 0, ...record(i) })
  store.publish()
  keeper.reachedEnd(0, Date.now())
  turns++
  await keeper.turn()
  await new Promise((resolve) => setImmediate(resolve))
  console.log(i + ' ' + writes)
}
`

const folder = mkdtempSync(join(tmpdir(), 'millrace-copy-kill-'))
/** Where the bundled writer finds its packages. */
const writerFile = join(process.cwd(), 'node_modules', '.cache', `copy-writer-${process.pid}.mjs`)
afterAll(() => {
  rmSync(writerFile, { force: true })
  rmSync(folder, { recursive: true })
})

function opened(high: number): Promise<CopiedView> {
  return openCopiedView({
    dir: join(folder, 'copies'),
    identity: { view: 'v', topic: 't', topicId: 'id', format: 'json' },
    marks: { low: [0], high: [high], removalMs: 3_600_000, isIdKnown: true },
    limits: { viewRowsMax: 350, viewBytesMax: 1 << 20, recentRowsMax: RECENT },
    counts: pushMetrics(undefined).ofView('v').copy,
    clock: systemClock,
    log: createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} }),
  })
}

function rowsAt(offset: number): Map<string, string> {
  const rows = new Map<string, string>()
  for (let i = 0; i < offset; i++) {
    const { key, json } = record(i)
    if (json === undefined) rows.delete(key)
    else rows.set(key, json)
  }
  return rows
}

test('a kill at any moment leaves the view as it was at an offset, with the changes before it', async () => {
  const source = join(folder, 'writer.mts')
  writeFileSync(source, WRITER)
  buildSync({
    entryPoints: [source],
    outfile: writerFile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  })
  let before = 0
  for (let round = 0; round < 5; round++) {
    const child = spawn(process.execPath, [writerFile, join(folder, 'copies')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = 0
    let lines = 0
    for await (const line of createInterface({ input: child.stdout })) {
      const [offset, writes] = line.split(' ').map(Number)
      said = offset!
      if (++lines > 20 + 17 * round && writes! > 0) child.kill('SIGKILL')
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    const { store, keeper } = await opened(1e9)
    const offset = store.nextOffset(0)
    // It went on where the one before ended, and what it wrote is there; it may be ahead of what it came to say.
    expect(offset).toBeGreaterThan(before)
    expect(offset % 40).toBe(0)
    expect(said).toBeGreaterThan(before)
    const expected = rowsAt(offset)
    expect(new Map([...store.rows].map(([key, row]) => [key, row.json]))).toEqual(expected)
    for (const back of [0, 1, 7, 100, RECENT - 1].filter((count) => count <= offset)) {
      const held = rowsAt(offset - back)
      for (const { key, json, isRemoval } of store.changesFrom([offset - back])!) {
        if (isRemoval) held.delete(key)
        else held.set(key, json)
      }
      expect(held, `${back} changes before ${offset}`).toEqual(expected)
    }
    expect(store.changesFrom([offset - 3 * RECENT])).toBeUndefined()
    await keeper.close()
    before = offset
  }
})
