// Functions with state and timers by key, through the whole job. Holds SPEC: PROCESS-1 to PROCESS-7, COUNT-1.
import { afterEach, describe, expect, test } from 'vitest'
import {
  count,
  type Duration,
  job,
  json,
  kafka,
  msgpack,
  type ProcessContext,
  type ProcessOptions,
  stream,
  tumbling,
} from '../../src/index.ts'
import { type TestJob, testJob } from '../../src/testing/index.ts'

interface Event {
  key: string
  ts: number
  n: number
}
/** Who emitted, what, and what was seen: time, watermark. */
type Seen = [what: string, ...numbers: unknown[]]
type Context = ProcessContext<number | undefined, Seen>

const source = kafka('in', { value: msgpack<Event>(), key: 'key', eventTime: 'ts', outOfOrder: '10ms' })
const opened: TestJob[] = []
const CIRCULAR: Record<string, unknown> = {}
CIRCULAR.self = CIRCULAR
afterEach(async () => {
  for (const t of opened.splice(0)) await t.close()
})

function processed(
  options: ProcessOptions<Event, number | undefined, Seen>,
  test: Parameters<typeof testJob>[1] = {},
): TestJob {
  const t = testJob(job('p').from(source).keyBy('key').process('p', options).to(kafka('out')), test)
  opened.push(t)
  return t
}
function send(t: TestJob, ...events: [ts: number, n: number, key?: string][]): void {
  for (const [ts, n, key = 'a'] of events) t.send('in', { value: { key, ts, n } })
}
/** The rows so far, each behind its key and time. */
function rows(t: TestJob): unknown[][] {
  return t.outputs<Seen>('out').map(({ key, value, timestampMs }) => [key, timestampMs, ...value])
}

describe('state', () => {
  const adding = {
    onRecord({ n }: Event, ctx: Context) {
      const total = (ctx.state.get() ?? 0) + n
      if (n === 0) ctx.state.delete()
      else ctx.state.set(total)
      ctx.emit(['total', total])
    },
  }

  test('is kept by key, over commits and restarts, and deleted', async () => {
    const t = processed(adding)
    send(t, [100, 1], [101, 2], [100, 5, 'b'])
    await t.restart()
    send(t, [102, 4], [103, 0], [104, 1])
    await t.end()
    expect(rows(t)).toEqual([
      ['a', 100, 'total', 1],
      ['a', 101, 'total', 3],
      ['b', 100, 'total', 5],
      ['a', 102, 'total', 7],
      ['a', 103, 'total', 7],
      ['a', 104, 'total', 1],
    ])
    expect(t.state().p!.map(({ key }) => key)).toEqual(['a', 'b'])
    expect(t.counts).toMatchObject({ in: 6, expanded: 6, accepted: 12, results: 6 })
  })

  test('is a copy: only what is set is kept', async () => {
    const none = {
      seen: [] as number[],
      counts: new Map<number, number>(),
      bytes: Uint8Array.of(0),
      at: new Date(0),
      big: 1n,
    }
    const t = testJob(
      job('p')
        .from(source)
        .keyBy('key')
        .process('p', {
          state: () => none,
          onRecord({ n }, ctx) {
            const state = ctx.state.get()
            state.seen.push(n)
            state.counts.set(n, state.counts.size)
            state.bytes[0]!++
            if (n > 1) ctx.state.set(state)
            state.seen.push(99)
            state.bytes[0] = 99
            const now = ctx.state.get()
            now.bytes[0]! += 10
            ctx.emit([
              ctx.state.get().seen,
              ctx.state.get().bytes[0],
              [...now.counts],
              now.at instanceof Date,
              typeof now.big,
            ])
          },
        })
        .to(kafka('out', { value: json() })),
    )
    opened.push(t)
    send(t, [100, 1], [101, 2])
    await t.restart()
    send(t, [102, 3])
    await t.flush()
    expect(t.outputs('out').map(({ value }) => value)).toEqual([
      [[], 0, [], true, 'bigint'],
      [[2], 1, [[2, 0]], true, 'bigint'],
      [
        [2, 3],
        2,
        [
          [2, 0],
          [3, 1],
        ],
        true,
        'bigint',
      ],
    ])
  })

  test('is gone when the watermark is past the time of its last write and the ttl', async () => {
    const t = processed({ ...adding, ttl: '50ms' })
    // The watermark is 10 behind: at 150 the state of 100 is there, at 151 it is not.
    send(t, [100, 1], [160, 2, 'b'], [150, 4], [211, 8, 'b'], [212, 8])
    await t.flush()
    expect(rows(t).map(([key, , , total]) => [key, total])).toEqual([
      ['a', 1],
      ['b', 2],
      ['a', 5],
      ['b', 10],
      ['a', 8],
    ])
    await t.advanceTo(400)
    expect(t.state()).toEqual({ p: [] })
  })

  test('of a record that is out of order is not older than the watermark', async () => {
    const t = processed({ ...adding, ttl: '50ms' })
    send(t, [1_000, 1, 'b'], [100, 1], [1_040, 2])
    await t.flush()
    expect(rows(t).at(-1)).toEqual(['a', 1_040, 'total', 3])
  })
})

describe('a call takes effect as a whole', () => {
  test('a record that the function throws on is dead, and nothing of the call is done', async () => {
    const t = processed({
      onRecord({ n }, ctx) {
        ctx.state.set(n)
        ctx.timers.at(ctx.timeMs + 5)
        ctx.emit(['row', n])
        if (n === 13) throw new RangeError('unlucky')
      },
      onTimer: (_, ctx) => ctx.emit(['timer', ctx.state.get()]),
    })
    send(t, [100, 1], [102, 13])
    await t.end()
    expect(rows(t)).toEqual([
      ['a', 100, 'row', 1],
      ['a', 105, 'timer', 1],
    ])
    expect(t.dead()).toMatchObject([{ code: 'MR2008', value: { n: 13 }, source: { offset: 1 } }])
    expect(t.dead()[0]!.text).toContain('unlucky')
    expect(t.counts).toMatchObject({ in: 2, dead: 1 })
  })

  test('a timer that the function throws on is a dead letter, and gone; the state stays as it was', async () => {
    const t = processed({
      onRecord({ n }, ctx) {
        ctx.state.set(n)
        ctx.timers.at(ctx.timeMs + 5)
      },
      onTimer(timer, ctx) {
        ctx.state.set(0)
        ctx.emit(['never'])
        if (timer.timeMs === 105) throw new RangeError('unlucky')
      },
    })
    send(t, [100, 7])
    await t.advanceTo(200)
    expect(rows(t)).toEqual([])
    expect(t.dead()).toMatchObject([{ code: 'MR2008', key: 'a', value: { timeMs: 105, clock: 'event' } }])
    expect(t.state().p).toMatchObject([{ key: 'a' }])
    expect(t.counts).toMatchObject({ in: 1, accepted: 1, dead: 0 })
  })

  test.each([
    ['a state that cannot be kept', (ctx: Context) => ctx.state.set(CIRCULAR as never), 'call stack'],
    ['no state', (ctx: Context) => ctx.state.set(undefined as never), 'use delete()'],
    ['no row', (ctx: Context) => ctx.emit(undefined as never), 'a row must be given'],
    ['no time', (ctx: Context) => ctx.timers.at(Number.NaN), 'NaN is no time'],
    ['a promise', () => Promise.reject(new Error('later')) as never, 'must not be async'],
  ])('%s makes the record dead', async (_, call, text) => {
    const t = processed({ onRecord: (_event, ctx) => call(ctx), onTimer: () => {} })
    send(t, [100, 1])
    await t.flush()
    expect(t.dead()[0]?.text).toContain(text)
  })

  test('a process without onTimer sets no timers, and a context is not used later', async () => {
    let kept: Context | undefined
    const t = processed({
      onRecord(_, ctx) {
        kept = ctx
        ctx.timers.at(1)
      },
    })
    send(t, [100, 1])
    await t.flush()
    expect(t.dead()[0]?.text).toContain('without onTimer')
    expect(() => kept!.emit(['late'])).toThrow('after its function has returned')
    expect(() => kept!.key).toThrow('after its function has returned')
  })
})

describe('event timers', () => {
  /** Sets a timer n after each record, and says what it sees. */
  const timed = {
    onRecord({ n }: Event, ctx: Context) {
      ctx.state.set((ctx.state.get() ?? 0) + 1)
      ctx.timers.at(ctx.timeMs + n)
      ctx.emit(['record', ctx.timeMs, ctx.watermarkMs])
    },
    onTimer({ timeMs, clock }: { timeMs: number; clock: string }, ctx: Context) {
      ctx.emit([`${clock} timer`, timeMs, ctx.watermarkMs, ctx.state.get()])
    },
  }

  test('come when the watermark reaches them, before the record that moved it, by time and then by key', async () => {
    const t = processed(timed)
    send(t, [100, 20], [100, 10, 'c'], [100, 10, 'b'], [129, 0, 'd'], [130, 1, 'd'], [300, 1, 'd'])
    await t.flush()
    expect(rows(t)).toEqual([
      ['a', 100, 'record', 100, 90],
      ['c', 100, 'record', 100, 90],
      ['b', 100, 'record', 100, 90],
      ['b', 110, 'event timer', 110, 110, 1],
      ['c', 110, 'event timer', 110, 110, 1],
      ['d', 129, 'record', 129, 119],
      ['a', 120, 'event timer', 120, 120, 1],
      ['d', 130, 'record', 130, 120],
      ['d', 129, 'event timer', 129, 129, 2],
      ['d', 131, 'event timer', 131, 131, 2],
      ['d', 300, 'record', 300, 290],
    ])
  })

  test('one for a time that has passed comes before the next record, at the watermark', async () => {
    const t = processed(timed)
    send(t, [100, -50], [101, 3])
    await t.flush()
    expect(rows(t)).toEqual([
      ['a', 100, 'record', 100, 90],
      ['a', 90, 'event timer', 50, 90, 1],
      ['a', 101, 'record', 101, 91],
    ])
  })

  test('those of a key at one time come once, and those that are cancelled not at all', async () => {
    const t = processed({
      ...timed,
      onRecord({ n }, ctx) {
        if (n < 0) ctx.timers.cancel(-n)
        else ctx.timers.at(n)
      },
    })
    send(t, [100, 150], [101, 150], [102, 160], [103, -160], [103, -170])
    await t.end()
    expect(rows(t)).toEqual([['a', 150, 'event timer', 150, 150, null]])
    expect(t.state()).toEqual({ p: [] })
  })

  test('may set later ones, each as if event time had come no further; never earlier ones or their own', async () => {
    const t = processed({
      onRecord: ({ n }, ctx) => (n === 0 ? ctx.timers.at(110) : undefined),
      onTimer({ timeMs }, ctx) {
        ctx.emit(['timer', timeMs])
        if (timeMs < 140) ctx.timers.at(timeMs + 10)
        if (timeMs === 140) ctx.timers.at(140)
      },
    })
    send(t, [100, 0], [105, 0, 'b'], [500, 1])
    await t.flush()
    expect(rows(t)).toEqual([110, 120, 130].flatMap((ms) => ['a', 'b'].map((key) => [key, ms, 'timer', ms])))
    expect(t.dead().map(({ key, text }) => [key, text.includes('later than its own')])).toEqual([
      ['a', true],
      ['b', true],
    ])
  })

  test('all come at the end of the input, and set no others; records behind it are late', async () => {
    const t = processed({
      onRecord: (_, ctx) => ctx.timers.at(10_000),
      onTimer(_, ctx) {
        ctx.emit(['timer', ctx.watermarkMs])
        ctx.timers.at(20_000)
        ctx.timers.atWall(1)
      },
    })
    send(t, [100, 0])
    await t.end()
    expect(rows(t)).toEqual([['a', 10_000, 'timer', 10_000]])
    expect(t.state()).toEqual({ p: [] })
    send(t, [200, 0])
    await t.end()
    expect(t.counts).toMatchObject({ in: 2, late: 1 })
  })

  test('see the state that is there at their time, however far the watermark leaps', async () => {
    const t = processed({
      ttl: '50ms',
      onRecord({ n }, ctx) {
        ctx.state.set(n)
        ctx.timers.at(ctx.timeMs + 50)
        ctx.timers.at(ctx.timeMs + 51)
      },
      onTimer: ({ timeMs }, ctx) => ctx.emit(['timer', timeMs, ctx.state.get()]),
    })
    send(t, [100, 7], [5_000, 8, 'b'])
    await t.flush()
    expect(rows(t)).toEqual([
      ['a', 150, 'timer', 150, 7],
      ['a', 151, 'timer', 151, null],
    ])
  })

  test('their rows are late nowhere: windows behind them close by what has been emitted', async () => {
    const t = testJob(
      job('p')
        .from(source)
        .keyBy('key')
        .process('p', {
          onRecord(event, ctx: ProcessContext<undefined, { n: number }>) {
            ctx.emit({ n: event.n })
            for (let i = 1; i <= 40; i++) ctx.timers.at(ctx.timeMs + i * 50)
          },
          onTimer: (_, ctx) => ctx.emit({ n: 0 }),
        })
        .window('w', tumbling('100ms'))
        .aggregate({ rows: count() })
        .to(kafka('out')),
    )
    opened.push(t)
    send(t, [0, 1], [9_000, 1, 'b'])
    await t.end()
    expect(t.counts.late).toBe(0)
    const found = t.outputs<{ key: string; windowStart: number; rows: number }>('out')
    expect(found.filter(({ key }) => key === 'a').map(({ value }) => value.rows)).toEqual([
      ...new Array<number>(20).fill(2),
      1,
    ])
    expect(found[0]!.value).toMatchObject({ key: 'a', windowStart: 0 })
  })
})

describe('wall timers', () => {
  const waiting = {
    onRecord({ n }: Event, ctx: Context) {
      ctx.state.set(n)
      ctx.timers.atWall(ctx.wallMs + n)
    },
    onTimer({ timeMs, clock }: { timeMs: number; clock: string }, ctx: Context) {
      ctx.emit([`${clock} timer`, ctx.wallMs - timeMs, ctx.state.get()])
      ctx.state.delete()
    },
  }

  test('come by the clock of the instance, at the greatest event time so far', async () => {
    const t = processed(waiting)
    send(t, [100, 5_000], [120, 2_000, 'b'])
    await t.advanceWall(1_900)
    expect(rows(t)).toEqual([])
    await t.advanceWall(200)
    expect(rows(t)).toEqual([['b', 120, 'wall timer', 0, 2_000]])
    await t.advanceWall(10_000)
    expect(rows(t).slice(1)).toEqual([['a', 120, 'wall timer', 0, 5_000]])
    expect(t.state()).toEqual({ p: [] })
    expect(t.counts).toMatchObject({ in: 2, expanded: 2, accepted: 4 })
  })

  test('that were due while nothing ran come after the start', async () => {
    const t = processed(waiting, { partitions: 2, lanes: 2, store: 'lmdb' })
    send(t, [100, 2_000], [100, 3_000, 'b'], [100, 500_000, 'c'])
    await t.flush()
    await t.restart()
    await t.advanceWall(3_500)
    expect(
      rows(t)
        .map(([key]) => key)
        .sort(),
    ).toEqual(['a', 'b'])
    expect(t.state().p!.map(({ key }) => key)).toEqual(['c', 'c'])
  })

  test.each(['commit-lost', 'answer-lost', 'after-produce'] as const)(
    'come once, though the process dies: %s',
    async (step) => {
      const t = processed(waiting)
      send(t, [100, 2_000])
      await t.flush()
      t.crashAt(step)
      await t.advanceWall(3_000)
      await t.advanceWall(3_000)
      expect(rows(t).map(([key, , what, , n]) => [key, what, n])).toEqual([['a', 'wall timer', 2_000]])
      expect(t.state()).toEqual({ p: [] })
    },
  )

  test('are cancelled, replaced, set anew by themselves, and dropped at the end of the input', async () => {
    const t = processed({
      onRecord({ n }, ctx) {
        ctx.timers.atWall(1_000)
        ctx.timers.atWall(2_000)
        if (n === 1) ctx.timers.cancelWall(1_000)
      },
      onTimer({ timeMs, clock }, ctx) {
        ctx.emit(['timer', timeMs])
        if (clock === 'event') return
        ctx.timers.atWall(timeMs + 1_500)
        ctx.timers.at(50)
      },
    })
    send(t, [100, 1])
    await t.advanceWall(5_500)
    expect(rows(t).map(([, timeMs, , at]) => [timeMs, at])).toEqual([
      [100, 2_000],
      [90, 50],
      [100, 3_500],
      [90, 50],
      [100, 5_000],
      [90, 50],
    ])
    await t.end()
    expect(rows(t)).toHaveLength(6)
    expect(t.state()).toEqual({ p: [] })
  })
})

describe('in a job', () => {
  test('two of them follow each other, behind a repartition, and meet another stream', async () => {
    const t = testJob(
      job('p')
        .from(kafka('in', { value: msgpack<Event>(), eventTime: 'ts', outOfOrder: '10ms' }))
        .keyBy('key')
        .process('first', {
          onRecord({ key, n }, ctx: ProcessContext<undefined, { key: string; n: number }>) {
            ctx.emit({ key, n })
            ctx.emit({ key, n: n + 100 })
          },
        })
        .process('second', {
          state: () => 0,
          onRecord({ n }, ctx: ProcessContext<number, { total: number }>) {
            ctx.state.set(ctx.state.get() + n)
            ctx.timers.at(ctx.timeMs + 1)
          },
          onTimer: (_, ctx) => ctx.emit({ total: ctx.state.get() }),
        })
        .join(
          'met',
          stream(kafka('other', { value: msgpack<Event>(), key: 'key', eventTime: 'ts' })).keyBy('key'),
          {
            within: '100ms',
          },
          ({ total }, { n }) => ({ total, n }),
        )
        .to(kafka('out')),
      { lanes: 2 },
    )
    opened.push(t)
    send(t, [100, 1], [120, 2], [100, 5, 'b'])
    t.send('other', { value: { key: 'a', ts: 110, n: 9 } })
    await t.restart()
    await t.end()
    const totals = t.outputs<{ total: number; n: number }>('out').map(({ key, value }) => [key, value.total, value.n])
    expect(totals.sort()).toEqual([
      ['a', 102, 9],
      ['a', 206, 9],
    ])
    expect(t.counts).toMatchObject({ in: 4, late: 0, dead: 0 })
  })

  test.each(['0ms', '1h'] as Duration[])('a wall timer behind a join comes, grace %s', async (grace) => {
    const other = stream(kafka('other', { value: msgpack<Event>(), key: 'key', eventTime: 'ts' })).keyBy('key')
    const t = testJob(
      job('p')
        .from(source)
        .keyBy('key')
        .join('met', other, { within: '100ms', grace }, (left, right) => ({ n: left.n + right.n }))
        .process('p', {
          onRecord: ({ n }, ctx: ProcessContext<undefined, Seen>) => ctx.timers.atWall(n),
          onTimer: ({ timeMs }, ctx) => ctx.emit(['timer', timeMs]),
        })
        .to(kafka('out')),
      { partitions: 2 },
    )
    opened.push(t)
    send(t, [100, 1_000])
    t.send('other', { value: { key: 'a', ts: 110, n: 9 } })
    await t.advanceWall(2_000)
    expect(rows(t)).toEqual([['a', 110, 'timer', 1_009]])
  })
})
