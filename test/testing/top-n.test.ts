// The best rows of groups through the whole job: behind aggregates, in views, on several partitions.
// Holds SPEC: TOPN-1 to TOPN-4, COUNT-1.
import { afterEach, expect, test } from 'vitest'
import { job, json, kafka, last, msgpack, sum } from '../../src/index.ts'
import { type TestJob, testJob } from '../../src/testing/index.ts'

interface Sale {
  city: string
  country: string
  amount: number
  ts: number
}

const opened: TestJob[] = []
afterEach(async () => {
  for (const t of opened.splice(0)) await t.close()
})
function open(built: Parameters<typeof testJob>[0], options: Parameters<typeof testJob>[1] = {}): TestJob {
  const t = testJob(built, options)
  opened.push(t)
  return t
}
const sales = kafka('sales', { value: msgpack<Sale>(), key: 'city', eventTime: 'ts' })
function sell(t: TestJob, ...given: [city: string, country: string, amount: number][]): void {
  for (const [city, country, amount] of given) t.send('sales', { value: { city, country, amount, ts: 1_000 } })
}

/** The cities with the highest totals of each country; the totals move to the partition of their country. */
const best = job('best')
  .from(sales)
  .keyBy('city')
  .aggregate({ total: sum('amount'), country: last('country') })
  .keyBy('country')
  .topN('best', { n: 2, by: 'total', rowKey: 'city' })
  .to(kafka('changes', { value: json() }))
  .filter((row) => row.total > 0)
  .map(({ city, country, rank, total }) => ({ at: `${country} ${rank}`, city, total }))
  .toView('places', { key: (row) => row.at })
  .toView('cities', { key: (row) => row.city, value: json() })

test('running totals are ranked by country: views hold the lists, by place and by city', async () => {
  const t = open(best, { partitions: 3, lanes: 2 })
  sell(t, ['Bonn', 'de', 5], ['Rome', 'it', 9], ['Kiel', 'de', 3])
  await t.flush()
  sell(t, ['Ulm', 'de', 4])
  await t.restart()
  sell(t, ['Kiel', 'de', 4])
  await t.flush()
  const places = [...t.view<{ at: string; city: string; total: number }>('places').values()].map(({ value }) => value)
  expect(places.map(({ at, city, total }) => `${at} ${city} ${total}`).sort()).toEqual([
    'de 1 Kiel 7',
    'de 2 Bonn 5',
    'it 1 Rome 9',
  ])
  expect([...t.view('cities').keys()].sort()).toEqual(['Bonn', 'Kiel', 'Rome'])
  const changes = t.outputs('changes').filter(({ key }) => key === 'de')
  expect(changes.every(({ value }) => value !== undefined)).toBe(true)
  const revs = changes.map(({ headers }) => Number(headers['millrace-rev']))
  expect(revs).toEqual(revs.map((_, i) => i + 1))
  expect(t.counts).toMatchObject({ in: 5, late: 0, dead: 0 })
  await t.end()
  expect(
    t
      .state()
      .best!.map(({ key }) => key)
      .sort(),
  ).toEqual(['de', 'it'])
})

test('no two rows share an id, whatever their groups and what they are of are', async () => {
  const ranked = job('ids').from(sales).keyBy('country').topN('best', { n: 1, by: 'amount', rowKey: 'city' })
  const t = open(ranked.to(kafka('out')))
  sell(t, ['c', 'a:b', 1], ['b:c', 'a', 1], ['b%3Ac', 'a', 2], ['c', 'a:b%', 1])
  await t.flush()
  const ids = t.outputs('out').map(({ headers }) => headers['millrace-id'])
  expect(ids).toEqual(['best:a:b:c', 'best:a:b%3Ac', 'best:a:b%3Ac', 'best:a:b%253Ac', 'best:a:b%:c'])
})

test('functions behind it may change the bytes in a row', async () => {
  interface Photo {
    city: string
    ts: number
    pixels: Uint8Array
  }
  const photos = kafka('photos', { value: msgpack<Photo>(), key: 'city', eventTime: 'ts' })
  const t = open(
    job('photos')
      .from(photos)
      .keyBy('city')
      .topN('newest', { n: 2, by: 'ts', rowKey: 'ts' })
      .map(({ rank, pixels }) => [rank, pixels[0]!++])
      .to(kafka('out')),
  )
  for (const ts of [1, 2, 3]) t.send('photos', { value: { city: 'Bonn', ts, pixels: Buffer.from([ts]) } })
  await t.flush()
  expect(t.outputs('out').map(({ value }) => value)).toEqual([
    [1, 1],
    [1, 1],
    [1, 2],
    [2, 1],
    [1, 2],
    [2, 1],
    [1, 3],
    [2, 2],
  ])
})

test('a view forgets a row that has changed at its rank, where a function behind drops the new one or throws on it', async () => {
  const t = open(
    job('open')
      .from(sales)
      .keyBy('country')
      .topN('newest', { n: 2, by: 'ts', rowKey: 'city' })
      .to(kafka('changes'))
      .filter((row) => row.amount < 10)
      .map((row) => {
        if (row.amount < 0) throw new RangeError('sold out')
        return row
      })
      .toView('open', { key: ({ country, rank }) => `${country} ${rank}` }),
  )
  const shown = (): string[] =>
    [...t.view<Sale>('open')].map(([at, { value }]) => `${at} ${value.city} ${value.amount}`).sort()
  sell(t, ['Bonn', 'de', 5], ['Kiel', 'de', 6])
  await t.flush()
  expect(shown()).toEqual(['de 1 Bonn 5', 'de 2 Kiel 6'])
  sell(t, ['Bonn', 'de', 7], ['Kiel', 'de', 20])
  await t.flush()
  expect(shown()).toEqual(['de 1 Bonn 7'])
  sell(t, ['Bonn', 'de', -1], ['Kiel', 'de', 3])
  await t.flush()
  expect(shown()).toEqual(['de 2 Kiel 3'])
  expect(t.dead()).toHaveLength(1)
  // Who applies the changes in their order has the list.
  const left = new Map<number, string>()
  for (const { value, headers } of t.outputs<Sale & { rank: number }>('changes')) {
    const row = `${value.city} ${value.amount}`
    if (headers['millrace-phase'] === 'early') left.set(value.rank, row)
    else {
      expect(left.get(value.rank)).toBe(row)
      left.delete(value.rank)
    }
  }
  expect([...left]).toEqual([
    [1, 'Bonn -1'],
    [2, 'Kiel 3'],
  ])
})

test('a record that cannot be ranked is dead', async () => {
  const t = open(
    job('x')
      .from(sales)
      .keyBy('city')
      .topN('best', { n: 1, by: ['amount', 'country'], rowKey: 'ts' })
      .to(kafka('out')),
  )
  sell(t, ['Bonn', 'de', 5])
  t.send(
    'sales',
    { value: { city: 'Bonn', country: 'de', amount: null, ts: 2_000 } },
    { value: { city: 'Bonn', amount: 1, ts: 2_000 } },
    { value: { city: 'Bonn', country: 'de', amount: Number.NaN, ts: 2_000 } },
  )
  await t.end()
  expect(t.outputs('out')).toHaveLength(1)
  expect(t.dead().map(({ code, text }) => [code, /needs a number or a text in (\w+)/.exec(text)?.[1]])).toEqual([
    ['MR2008', 'amount'],
    ['MR2008', 'country'],
    ['MR2008', 'amount'],
  ])
  sell(t, ['Bonn', 'de', 9])
  await t.end()
  expect(t.counts).toMatchObject({ in: 5, late: 1, dead: 3 })
})
