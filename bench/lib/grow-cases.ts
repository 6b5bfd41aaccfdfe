// The cases of `npm run bench:grow`: a base, and beside it one thing grown at a time. Pure.
import type { Spread } from '../../src/cli/symbols.ts'

export const GROUPS = ['keys', 'partitions', 'lanes', 'values', 'envelopes'] as const
export type Group = (typeof GROUPS)[number]

export interface GrowCase {
  name: string
  group: Group | 'base'
  keys: number
  /**
   * Zipf: a few keys take most records, as symbols of a market do: rows stay hot, and there are few a window. Uniform: each
   * record hits another key, as users or devices do: nothing is hot, and there is up to a row a record.
   */
  spread: Spread
  /** Records a second of event time: how many a window of one second takes in, so how many rows can live at once. */
  eventRate: number
  partitions: number
  lanes: number
  valueBytes: number
  /** Events a Kafka record. */
  events: number
  /** Memory for state of a lane, `limits.stateMemoryBytesMax`; undefined: its default, 256 MiB. */
  stateMemoryBytesMax: number | undefined
  /** Records over those of the base: what costs more a record gets fewer. */
  recordsShare: number
}

const MIB = 1 << 20
const MILLION = 1_000_000
/** State larger than this lives in LMDB. The rows of a million keys take ten times as much. */
const SMALL_STATE_BYTES = 16 * MIB

export const BASE: GrowCase = {
  name: 'base',
  group: 'base',
  keys: 1_000,
  spread: 'zipf',
  eventRate: 100_000,
  partitions: 4,
  lanes: 1,
  valueBytes: 65,
  events: 1,
  stateMemoryBytesMax: undefined,
  recordsShare: 1,
}

type Change = Partial<Omit<GrowCase, 'name' | 'group'>>

/** Many keys in windows of few records, then the same in windows that hold nearly a million of them. */
const KEY_CASES: Record<string, Change> = {
  '100 k keys, zipf': { keys: 100_000 },
  '100 k keys, uniform': { keys: 100_000, spread: 'uniform', recordsShare: 0.5 },
  '2 M keys, zipf': { keys: 2 * MILLION },
  '2 M keys, uniform': { keys: 2 * MILLION, spread: 'uniform', recordsShare: 0.5 },
  '2 M keys, uniform, 1 M records a window': {
    keys: 2 * MILLION,
    spread: 'uniform',
    eventRate: MILLION,
    recordsShare: 0.75,
  },
  'the same in 16 MiB of memory': {
    keys: 2 * MILLION,
    spread: 'uniform',
    eventRate: MILLION,
    recordsShare: 0.75,
    stateMemoryBytesMax: SMALL_STATE_BYTES,
  },
}

const CHANGES: Record<Group, Record<string, Change>> = {
  keys: KEY_CASES,
  partitions: { '1 partition': { partitions: 1 }, '32 partitions': { partitions: 32 } },
  lanes: { '2 lanes': { lanes: 2 } },
  values: {
    'values of 1 kB': { valueBytes: 1_000, recordsShare: 0.25 },
    'values of 10 kB': { valueBytes: 10_000, recordsShare: 0.025 },
  },
  envelopes: { 'envelopes of 50 events': { events: 50 } },
}

/**
 * The base, the cases of a group or of all, and the base again: how far the two are apart is what the machine did meanwhile.
 *
 * @example
 * growCases('lanes').map(({ name }) => name) // ['base', '2 lanes', 'base again']
 */
export function growCases(only?: Group): GrowCase[] {
  const groups = only === undefined ? GROUPS : [only]
  const grown = groups.flatMap((group) =>
    Object.entries(CHANGES[group]).map(([name, change]): GrowCase => ({ ...BASE, ...change, name, group })),
  )
  return [BASE, ...grown, { ...BASE, name: 'base again' }]
}

/** How many records a case gets; whole envelopes. */
export function recordsOf({ recordsShare, events }: GrowCase, baseRecords: number): number {
  return Math.max(1, Math.round((baseRecords * recordsShare) / events)) * events
}
