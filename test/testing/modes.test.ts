// One input in every mode of the test driver: cut at random, restarted, killed at every step of a commit, rebalanced, on
// several partitions and lanes, in memory and on disk. The results are the same. Holds SPEC: TEST-2, TEST-4, TEST-5.
import { count, hopping, job, json, kafka, last, sum, tumbling } from 'millrace'
import { CRASH_STEPS, type TestJob, type TestJobOptions, testJob } from 'millrace/test'
import { describe, expect, test } from 'vitest'
import { seeded } from '../../src/testing/seeded.ts'

interface Order {
  id: string
  user: string
  amount: number
  ts: number
}

const source = kafka('orders', { value: json<Order>(), key: 'id', eventTime: 'ts', outOfOrder: '300ms' })

const byId = job('by-id')
  .from(source)
  .filter(['amount'], (amount) => amount > 0)
  .keyBy('id')
  .window('1s', tumbling('1s', { grace: '200ms' }))
  .aggregate({ total: sum('amount'), n: count(), lastUser: last('user') })
  .late(kafka('late'))
  .to(kafka('totals', { value: json() }), { emit: 'final' })
  .toView('now', { emit: 'updates' })

const byUser = job('by-user')
  .from(source)
  .keyBy('user')
  .window('1s', tumbling('1s'))
  .aggregate({ total: sum('amount'), n: count() })
  .late(kafka('late'))
  .to(kafka('totals', { value: json() }), { emit: 'final' })

const panes = job('panes')
  .from(source)
  .keyBy('id')
  .window('2s', hopping('2s', '500ms'))
  .aggregate({ total: sum('amount'), n: count() })
  .late(kafka('late'))
  .to(kafka('totals', { value: json() }), { emit: 'final' })

const copy = job('copy')
  .from(source)
  .filter(['amount'], (amount) => amount > 0)
  .to(kafka('copied', { value: json() }))

const JOBS = { byId, byUser, panes, copy }

/**
 * 120 orders over 6 seconds, some filtered, some dead, some late. On several partitions none is: behind a repartition topic
 * it depends on how they meet whether a record is late that is out of the order of its own partition.
 */
function orders(lateShare: number): { key: string; value: unknown; timestampMs: number }[] {
  const random = seeded(11)
  return Array.from({ length: 120 }, (_, i) => {
    const id = `o${Math.floor(random() * 7)}`
    const ts = i * 50 - (random() < lateShare ? 2_500 : Math.floor(random() * 300)) + 10_000
    const amount = Math.floor(random() * 9)
    return {
      key: random() < 0.05 ? 'other' : id,
      value: { id, user: `u${Math.floor(random() * 4)}`, amount, ts },
      timestampMs: ts,
    }
  })
}

/** What a job gave, whatever the order in which its partitions met. */
function resultsOf(t: TestJob) {
  const sorted = (rows: readonly { topic: string; partition: number; key: string | undefined; value: unknown }[]) =>
    rows.map(({ topic, partition, key, value }) => JSON.stringify([topic, partition, key, value])).sort()
  const { results: _, ...counts } = t.counts
  return {
    rows: sorted(t.outputs()),
    late: sorted(t.late()),
    dead: sorted(t.dead()),
    counts,
    view: [...t.view('now').entries()].map(([key, { value }]) => [key, value]).sort(),
    state: t.state(),
    watermarkMs: t.watermarkMs,
  }
}

/** The input in four parts; `between` is called behind each of the first three. */
async function play(name: keyof typeof JOBS, options: TestJobOptions, between: (t: TestJob) => void | Promise<void>) {
  const t = testJob(JOBS[name], options)
  const input = orders(options.partitions === undefined ? 0.15 : 0)
  try {
    for (let part = 0; part < 4; part++) {
      t.send('orders', ...input.slice(part * 30, part * 30 + 30))
      if (part < 3) await between(t)
    }
    await t.end()
    // Records after the end are late, also for the next run.
    t.send('orders', ...input.slice(0, 5))
    await t.flush()
    return { results: resultsOf({ ...view(name, t) } as TestJob), trace: t.trace() }
  } finally {
    await t.close()
  }
}

/** A job without a view has an empty one here. */
function view(name: keyof typeof JOBS, t: TestJob) {
  return {
    outputs: () => t.outputs(),
    late: () => t.late(),
    dead: () => t.dead(),
    view: (of: string) => (name === 'byId' ? t.view(of) : new Map()),
    state: () => t.state(),
    counts: t.counts,
    watermarkMs: t.watermarkMs,
  }
}

const straight = (name: keyof typeof JOBS, options: TestJobOptions = {}) => play(name, options, () => {})
const names = Object.keys(JOBS) as (keyof typeof JOBS)[]

describe.each(names)('%s', (name) => {
  test('gives rows, late and dead records, and keeps nothing at the end', async () => {
    const { results } = await straight(name)
    expect(results.rows.length).toBeGreaterThan(10)
    expect(results.dead.length).toBeGreaterThan(0)
    expect(results.counts.in).toBe(125)
    if (name === 'copy') return
    expect(results.late.length).toBeGreaterThan(5)
    expect(Object.values(results.state)).toEqual([[]])
    expect(results.watermarkMs).toBe(Number.POSITIVE_INFINITY)
  })

  test.each([1, 2, 3])('is the same however frames and epochs are cut (seed %i)', async (seed) => {
    const { results, trace } = await straight(name, { seed })
    expect(results).toEqual((await straight(name)).results)
    expect(trace.filter((step) => step.startsWith('frame 0_0')).length).toBeGreaterThan(15)
  })

  test('is the same when every record is committed by itself, or processed by itself', async () => {
    const { results } = await straight(name)
    for (const ends of ['flush', 'process'] as const) {
      const t = testJob(JOBS[name])
      for (const record of orders(0.15)) {
        t.send('orders', record)
        await t[ends]()
      }
      await t.end()
      t.send('orders', ...orders(0.15).slice(0, 5))
      await t.flush()
      expect(resultsOf({ ...view(name, t) } as TestJob)).toEqual(results)
    }
  })

  test('is the same when it starts anew behind some records', async () => {
    const { results, trace } = await play(name, {}, (t) => {
      if (!t.trace().includes('flush')) t.restartAt(...[1, 17, 18, 60, 119].filter((at) => at > t.counts.in))
      return t.flush()
    })
    expect(results).toEqual((await straight(name)).results)
    expect(trace.filter((step) => step === 'start test-1')).toHaveLength(5 + 2)
  })

  const steps = CRASH_STEPS.filter((step) => name !== 'copy' || !step.endsWith('-flush'))
  test.each(steps)('is the same when it dies three times: %s', async (step) => {
    const { results, trace } = await play(name, {}, (t) => {
      t.crashAt(step)
      return t.flush()
    })
    expect(results).toEqual((await straight(name)).results)
    expect(trace.filter((line) => line === `crash test-1 ${step}`)).toHaveLength(3)
  })

  test('is the same when a second instance joins and leaves', async () => {
    const options = { partitions: 3 }
    const { results, trace } = await play(name, options, (t) => t.rebalance())
    expect(results).toEqual((await straight(name, options)).results)
    expect(trace).toContain('start test-0')
    expect(trace).toContain('stop test-0')
    expect(trace.some((step) => step.startsWith('commit test-0 '))).toBe(true)
  })

  test('is the same on two lanes', async () => {
    expect((await straight(name, { partitions: 3, lanes: 2 })).results).toEqual(
      (await straight(name, { partitions: 3 })).results,
    )
  })
})

test('on disk it is the same, killed before and after its store was written', async () => {
  const { results } = await straight('byId')
  for (const step of ['before-flush', 'after-flush', 'answer-lost'] as const) {
    const onDisk = await play('byId', { store: 'lmdb' }, async (t) => {
      t.crashAt(step)
      await t.flush()
      await t.restart()
    })
    expect(onDisk.results).toEqual(results)
    expect(onDisk.trace.filter((line) => line === `crash test-1 ${step}`)).toHaveLength(3)
  }
})

test('the same calls and seed give the same trace, another seed another', async () => {
  const run = async (seed: number) => {
    const options = { partitions: 3, lanes: 2, seed }
    return (
      await play('byUser', options, async (t) => {
        t.crashAt('after-marker')
        await t.rebalance()
        await t.advanceWall(12_345)
      })
    ).trace
  }
  const first = await run(5)
  expect(await run(5)).toEqual(first)
  expect(await run(6)).not.toEqual(first)
  expect(first.some((line) => /^totals\/\d@\d+ \d+ [0-9a-f]+ [0-9a-f]+$/.test(line))).toBe(true)
  expect(first).toContain('pass 12345')
})
