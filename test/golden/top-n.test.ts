// Golden tables of the best rows of groups. Holds SPEC: TOPN-1, TOPN-2, TOPN-3, TOPN-4, R3, R9.
import { unpack } from 'msgpackr'
import { describe } from 'vitest'
import { job, kafka, msgpack, type TopNOptions } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import type { Row } from '../lane/lane-driver.ts'
import { golden, type Tick } from './golden.ts'

/** The group is the key; a row is of its time, so that `a@1=5 a@1=7` is a newer one of row 1. */
function best(options: Partial<TopNOptions<Tick>> = {}): CompiledJob {
  return job('g')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: '100ms' }))
    .keyBy('key')
    .topN('best', { n: 2, by: 'value', rowKey: 'ts', ttl: '20ms', ...options })
    .to(kafka('out'))
    .build()
}

/** `+a:1=5 rank 1 #1`: new (+) or taken back (-), id, value, rank, rev. */
function text({ key, value, headers: h }: Row): string {
  const { rank, value: of } = unpack(value!) as Tick & { rank: number }
  const sign = h['millrace-phase'] === 'early' ? '+' : h['millrace-phase'] === 'retracted' ? '-' : '?'
  const id = h['millrace-id']!.replace('best:', '')
  return `${sign}${id}=${of} rank ${rank} #${h['millrace-rev']}${id.startsWith(`${key}:`) ? '' : ` of ${key}`}`
}

describe('the best two of each group', () => {
  golden(
    'come, and go when others are better',
    best(),
    {
      input: 'a@1=5 a@2=7 b@1=1 a@3=6 a@4=1',
      rows: [
        '+a:1=5 rank 1 #1',
        '-a:1=5 rank 1 #2',
        '+a:2=7 rank 1 #3',
        '+a:1=5 rank 2 #4',
        '+b:1=1 rank 1 #1',
        '-a:1=5 rank 2 #5',
        '+a:3=6 rank 2 #6',
      ],
      counts: { expanded: 7 },
    },
    text,
  )
  golden(
    'the newest row counts: one that was kept comes up when another goes down',
    best(),
    {
      input: 'a@1=5 a@2=7 a@3=4 a@2=3',
      rows: [
        '+a:1=5 rank 1 #1',
        '-a:1=5 rank 1 #2',
        '+a:2=7 rank 1 #3',
        '+a:1=5 rank 2 #4',
        '-a:2=7 rank 1 #5',
        '-a:1=5 rank 2 #6',
        '+a:1=5 rank 1 #7',
        '+a:3=4 rank 2 #8',
      ],
      counts: { expanded: 8 },
    },
    text,
  )
  golden(
    'a newer row of the same rank is not taken back first',
    best(),
    {
      input: 'a@1=5 a@1=6 a@1=6',
      rows: ['+a:1=5 rank 1 #1', '+a:1=6 rank 1 #2', '+a:1=6 rank 1 #3'],
      counts: { expanded: 3 },
    },
    text,
  )
  golden(
    'of equal ones the first to come is the better; an equal newer row keeps its place',
    best(),
    {
      input: 'a@1=5 a@2=5 a@3=5 a@1=5',
      rows: ['+a:1=5 rank 1 #1', '+a:2=5 rank 2 #2', '+a:1=5 rank 1 #3'],
      counts: { expanded: 3 },
    },
    text,
  )
  golden(
    'ascending, the least is the best',
    best({ order: 'asc', n: 1 }),
    {
      input: 'a@1=5 a@2=7 a@3=-2',
      rows: ['+a:1=5 rank 1 #1', '-a:1=5 rank 1 #2', '+a:3=-2 rank 1 #3'],
      counts: { expanded: 3 },
    },
    text,
  )
  golden(
    'of several fields the first that differs decides',
    best({ by: ['value', 'ts'], n: 1 }),
    {
      input: 'a@1=5 a@2=5',
      rows: ['+a:1=5 rank 1 #1', '-a:1=5 rank 1 #2', '+a:2=5 rank 1 #3'],
      counts: { expanded: 3 },
    },
    text,
  )
  golden(
    'what is beyond the rows that are kept does not come up again',
    best({ n: 1, keep: 1 }),
    { input: 'a@1=5 a@2=4 a@1=1', rows: ['+a:1=5 rank 1 #1', '+a:1=1 rank 1 #2'], counts: { expanded: 2 } },
    text,
  )
  golden(
    'a group that has had no record for the ttl begins anew',
    best({ n: 1 }),
    {
      // The watermark is 100 behind: at 21 the group is there, and written again; at 42 it is gone.
      input: 'a@1=5 b@121=1 a@2=3 b@142=1 a@3=2',
      rows: ['+a:1=5 rank 1 #1', '+b:121=1 rank 1 #1', '+a:3=2 rank 1 #1'],
      counts: { expanded: 3 },
    },
    text,
  )
})
