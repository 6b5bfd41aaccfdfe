// Limits that fit the memory. Holds SPEC: MEMORY-1, MEMORY-2.
import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { consumerSettings, producerSettings } from '../../src/kafka/rdkafka/settings.ts'
import { loadConfig } from '../../src/ops/config.ts'
import { CONFIG_ROWS } from '../../src/ops/config-table.ts'
import {
  availableMemoryBytes,
  fitMemory,
  MEMORY_PARTS,
  type MemoryNeeds,
  PROCESS_BYTES,
} from '../../src/ops/memory-plan.ts'

const MIB = 1024 * 1024
const QUEUES: Record<string, number> = {
  'kafka.queue.buffering.max.kbytes': 64 * MIB,
  'kafka.queued.max.messages.kbytes': 16 * MIB,
}

/** Limits at their defaults, those named set to a size. */
function needs(lanes: number, set: Record<string, number> = {}): MemoryNeeds {
  const limits = new Map(
    MEMORY_PARTS.map(({ key }) => {
      const byDefault = QUEUES[key] ?? Number(CONFIG_ROWS.find((row) => row.key === key)!.default)
      return [key, { bytes: set[key] ?? byDefault, isSet: key in set }] as const
    }),
  )
  return { lanes, areLanesSet: false, fetchers: 4, limits }
}

/** The sum of the guide, by hand. */
function sumBytes({ lanes, fetchers, limits }: MemoryNeeds, shrunk: ReadonlyMap<string, number>): number {
  const count = { process: 1, lane: lanes, fetcher: fetchers }
  return MEMORY_PARTS.reduce(
    (sum, { key, of }) => sum + count[of] * (shrunk.get(key) ?? limits.get(key)!.bytes),
    PROCESS_BYTES,
  )
}

function fitted(given: MemoryNeeds, memoryBytes: number) {
  const fit = fitMemory(given, memoryBytes)
  if (typeof fit === 'string') throw new Error(fit)
  return fit
}

describe('a memory limit', () => {
  test('that is large enough changes nothing', () => {
    expect(fitted(needs(4), 8192 * MIB).shrunk.size).toBe(0)
  })

  test('of 512 MiB takes two lanes, each limit above its least', () => {
    const fit = fitted(needs(2), 512 * MIB)
    expect(fit.lanes).toBe(2)
    expect(fit.bytes).toBeLessThanOrEqual(0.9 * 512 * MIB)
    for (const { key, leastBytes } of MEMORY_PARTS) {
      expect(fit.shrunk.get(key), key).toBeGreaterThan(leastBytes)
      expect(fit.shrunk.get(key), key).toBeLessThan(needs(2).limits.get(key)!.bytes)
    }
  })

  test('holds whatever is set, to the last bytes that fit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 400, max: 70_000 }),
        fc.boolean(),
        (lanes, mib, isSet) => {
          const given = needs(lanes, isSet ? { 'limits.stateMemoryBytesMax': 32 * MIB } : {})
          const fit = fitMemory(given, mib * MIB)
          if (typeof fit === 'string') return
          const bytes = sumBytes({ ...given, lanes: fit.lanes }, fit.shrunk)
          expect(fit.bytes).toBe(bytes)
          expect(bytes).toBeLessThanOrEqual(0.9 * mib * MIB)
          expect(fit.shrunk.has('limits.stateMemoryBytesMax') && isSet).toBe(false)
          // Nothing is given away: with shrunk limits, less than a KiB a part is left.
          if (fit.shrunk.size > 0) expect(0.9 * mib * MIB - bytes).toBeLessThan(1024 * (3 * fit.lanes + 10))
        },
      ),
    )
  })

  test('too small for the lanes that the cores would give leaves fewer of them', () => {
    const fit = fitted(needs(15), 700 * MIB)
    expect(fit.lanes).toBeGreaterThan(1)
    expect(fit.lanes).toBeLessThan(15)
    expect(typeof fitMemory({ ...needs(15), areLanesSet: true }, 700 * MIB)).toBe('string')
  })

  test('that cannot hold what is set is refused, with numbers and the way out', () => {
    expect(fitMemory(needs(1, { 'limits.stateMemoryBytesMax': 1024 * MIB }), 512 * MIB)).toBe(
      'memory: 1 lane needs at least 1313 MiB with these limits, and there are 461 MiB (90 % of 512 MiB, limits.memoryBytesMax); ' +
        'give the process more memory, fewer `lanes`, or smaller `limits.*` where you set them',
    )
  })
})

describe('the configuration', () => {
  test('shows what was fitted, and why, and hands it to librdkafka', () => {
    const config = loadConfig({ flags: { lanes: 2, 'limits.laneHeapBytesMax': '96 MiB' }, memoryBytes: 512 * MIB })
    const entry = (key: string) => config.describe().find((candidate) => candidate.key === key)
    expect(entry('limits.stateMemoryBytesMax')).toMatchObject({ origin: 'default', where: 'memory' })
    expect(config.limits.stateMemoryBytesMax).toBeLessThan(64 * MIB)
    expect(config.limits.laneHeapBytesMax).toBe(96 * MIB)
    expect(config.kafka['queued.max.messages.kbytes']).toBeLessThan(16_384)
    expect(config.kafka['queue.buffering.max.kbytes']).toBeGreaterThan(16_384)
  })

  test('is fitted to limits.memoryBytesMax rather than to what there is', () => {
    const config = loadConfig({ flags: { lanes: 1, 'limits.memoryBytesMax': '512 MiB' }, memoryBytes: 65_536 * MIB })
    expect(config.limits.stateMemoryBytesMax).toBeLessThan(256 * MIB)
  })

  test('is refused as a whole where it cannot fit', () => {
    const flags = { lanes: 8 }
    expect(() => loadConfig({ flags, memoryBytes: 512 * MIB })).toThrow(/memory: 8 lanes need at least \d+ MiB/)
  })

  test('of a command that runs no job is not fitted', () => {
    expect(loadConfig({ flags: { lanes: 8, 'limits.memoryBytesMax': '512 MiB' } }).lanes).toBe(8)
  })
})

describe('the sizes', () => {
  test('of librdkafka are those that its clients have', () => {
    const brokers = 'localhost:1'
    const consumer = consumerSettings({ brokers, readUncommitted: false, group: undefined, settings: {} })
    const producer = producerSettings({
      brokers,
      transactionalId: 'a',
      transactionTimeoutMs: 1,
      plugin: undefined,
      batchBytesMax: undefined,
      settings: {},
    })
    expect(Number(consumer.global['queued.max.messages.kbytes']) * 1024).toBe(
      QUEUES['kafka.queued.max.messages.kbytes'],
    )
    expect(Number(producer.global['queue.buffering.max.kbytes']) * 1024).toBe(
      QUEUES['kafka.queue.buffering.max.kbytes'],
    )
  })

  test('of the guide are those of the code', () => {
    const guide = readFileSync(join(import.meta.dirname, '../../docs/guide/deployment.md'), 'utf8')
    for (const { key, leastBytes, of } of MEMORY_PARTS) {
      const most = needs(1).limits.get(key)!.bytes
      expect(guide).toContain(`| \`${key}\` | ${most / MIB} MiB | ${leastBytes / MIB} MiB | ${of} |`)
    }
    expect(guide).toContain(`${PROCESS_BYTES / MIB} MiB for the process itself`)
  })

  test('of the machine are never more than it has', () => {
    expect(availableMemoryBytes()).toBeGreaterThan(64 * MIB)
    expect(availableMemoryBytes()).toBeLessThanOrEqual(totalmem())
  })
})
