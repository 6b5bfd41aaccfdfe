// Golden tables and an oracle of rows for windows without records. Holds SPEC: EMIT-3, R3, R4.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { count, job, json, kafka, last, msgpack, sum, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { drive, type Row } from '../lane/lane-driver.ts'
import { fieldsOf, golden, type Tick, ticksOf } from './golden.ts'

const keyed = job('g')
  .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts' }))
  .keyBy('key')

function filledJob(emit: 'final' | 'updates' = 'final'): CompiledJob {
  return keyed
    .window('w', tumbling('10ms'))
    .aggregate(
      { n: count(), price: last('value'), v: sum('value') },
      { gapFill: { for: '25ms', fill: { n: 'zero', price: 'last' } } },
    )
    .late(kafka('late'))
    .to(kafka('out', { value: msgpack() }), { emit })
    .build()
}

/** `a[0,10) n1 price5 v5`, and whether it is of a window without records. */
function text(row: Row): string {
  const { key, windowStart, windowEnd, n, price, v } = fieldsOf(row)
  const phase = row.headers['millrace-phase'] === 'early' ? ' early' : ''
  const filled = row.headers['millrace-filled'] === 'true' ? ' filled' : ''
  return `${key}[${windowStart},${windowEnd}) n${n} price${price} v${v}${phase}${filled}`
}

/*
 *   0         10        20        30        40        50      event time
 *   ├─────────┼─────────┼─────────┼─────────┼─────────┤
 *   a 5                                     a 7               for 25 ms: windows that end by 35 are filled
 *             filled    filled    none
 */
describe('windows without records', () => {
  const filled = filledJob()
  golden(
    'give a row for each key that had one lately, and none once it was quiet for too long',
    filled,
    {
      input: 'a@1=5 a@41=7',
      rows: [
        ...['a[0,10) n1 price5 v5', 'a[10,20) n0 price5 vnull filled', 'a[20,30) n0 price5 vnull filled'],
        'a[40,50) n1 price7 v7',
      ],
    },
    text,
  )
  golden(
    'come behind the rows of their window, by key',
    filled,
    {
      input: 'a@1=1 b@2=2 c@3=3 b@12=4 a@21=8',
      rows: [
        ...['a[0,10) n1 price1 v1', 'b[0,10) n1 price2 v2', 'c[0,10) n1 price3 v3'],
        ...['b[10,20) n1 price4 v4', 'a[10,20) n0 price1 vnull filled', 'c[10,20) n0 price3 vnull filled'],
        ...['a[20,30) n1 price8 v8', 'b[20,30) n0 price4 vnull filled', 'c[20,30) n0 price3 vnull filled'],
      ],
    },
    text,
  )
  golden(
    'end with the window of the last record at the end of the input, and a far jump fills no more than it may',
    filled,
    {
      input: 'a@1=1 b@1000001=2',
      rows: [
        'a[0,10) n1 price1 v1',
        'a[10,20) n0 price1 vnull filled',
        'a[20,30) n0 price1 vnull filled',
        'b[1000000,1000010) n1 price2 v2',
      ],
    },
    text,
  )
  golden(
    'of a sink with updates are there once, when they close',
    filledJob('updates'),
    {
      input: 'a@1=1 b@11=2 b@21=3',
      rows: [
        ...[
          'a[0,10) n1 price1 v1 early',
          'a[0,10) n1 price1 v1',
          'b[10,20) n1 price2 v2 early',
          'b[10,20) n1 price2 v2',
        ],
        ...['a[10,20) n0 price1 vnull filled', 'b[20,30) n1 price3 v3 early', 'b[20,30) n1 price3 v3'],
        'a[20,30) n0 price1 vnull filled',
      ],
    },
    text,
  )

  test('go through functions and formats as other rows do', async () => {
    const mapped = keyed
      .window('w', tumbling('10ms'))
      .aggregate({ n: count() }, { gapFill: { for: '1s' } })
      .map((row) => ({ ...row, isEmpty: row.n === null }))
      .to(kafka('out', { value: json(), key: (row) => `${row.key}!` }))
      .build()
    const { rows } = await drive(mapped, ticksOf('a@1 b@11'))
    expect(rows.map(({ key, value }) => [key, JSON.parse(new TextDecoder().decode(value))])).toEqual([
      ['a!', { key: 'a', windowStart: 0, windowEnd: 10, n: 1, isEmpty: false }],
      ['b!', { key: 'b', windowStart: 10, windowEnd: 20, n: 1, isEmpty: false }],
      ['a!', { key: 'a', windowStart: 10, windowEnd: 20, n: null, isEmpty: true }],
    ])
  })

  test('are those of the oracle, whatever the frames, restarts and evictions', async () => {
    const tick = fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      step: fc.nat(12),
      value: fc.integer({ min: 0, max: 9 }),
    })
    const ticks = fc.array(tick, { maxLength: 40, size: 'max' }).map((list) => {
      let ts = 0
      return list.map(({ key, step, value }) => {
        ts += step
        return { key, value, ts }
      })
    })
    const modes = fc.record({
      frameRecords: fc.integer({ min: 1, max: 9 }),
      restart: fc.constantFrom('never', 'changelog'),
      flushEach: fc.boolean(),
      limits: fc.constantFrom({}, { stateMemoryBytesMax: 1 }),
    })
    await fc.assert(
      fc.asyncProperty(ticks, modes, async (list, mode) => {
        const input = list.map((value) => ({ key: value.key, value }))
        const { rows, stats } = await drive(filledJob(), input, { ...mode, store: mode.flushEach ? 'lmdb' : 'memory' })
        expect(rows.map(text)).toEqual(oracle(list))
        expect([stats.rowCount, stats.keyCount]).toEqual([0, 0])
      }),
      { numRuns: 30 },
    )
  })
})

function oracle(list: readonly Tick[]): string[] {
  const rows: string[] = []
  const lastMs = list.at(-1)?.ts ?? -1
  const known = new Map<string, { end: number; price: number }>()
  for (let start = 0; start <= lastMs; start += 10) {
    const end = start + 10
    const own = list.filter(({ ts }) => ts >= start && ts < end)
    const keys = [...new Set(own.map(({ key }) => key))].sort()
    for (const key of keys) {
      const values = own.filter((one) => one.key === key).map(({ value }) => value)
      known.set(key, { end, price: values.at(-1)! })
      rows.push(`${key}[${start},${end}) n${values.length} price${values.at(-1)} v${values.reduce((a, b) => a + b)}`)
    }
    for (const [key, one] of [...known].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (end - one.end > 25) known.delete(key)
      else if (one.end < end) rows.push(`${key}[${start},${end}) n0 price${one.price} vnull filled`)
    }
  }
  return rows
}
