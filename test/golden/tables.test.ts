// Golden tables of joins with tables. Holds SPEC: TABLE-1, TABLE-2, TABLE-3, TABLE-4, R3, COUNT-1, TEST-4, TEST-5.
import { describe } from 'vitest'
import { job, kafka, table } from '../../src/index.ts'
import type { Format } from '../../src/job/format.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { goldenTopics, type Line } from './golden-topics.ts'

const out = kafka<{ text: string }>('out')
const topic = (name: string, value: Format<Line>, outOfOrder: '0ms' | '3ms' = '0ms') =>
  kafka(name, { value, key: 'key', outOfOrder, idleAfter: '1d' })
const text = (...sides: readonly (Line | undefined)[]) => ({ text: sides.map((side) => side?.v ?? '-').join('+') })

/*
 *   s    ● 1         ● 2         ● 3         ● 4       each with the row that is there when it is read:
 *   t         ■ 7         ■ 8         ╳                ╳ deletes the row; times have no say
 *   ─────────────────────────────────────────────>     as it is read
 */
describe('a stream with a table as it is', () => {
  const input = 's:a@10=1 t:a@50=7 s:a@11=2 t:a@5=8 s:a@12=3 t:a@60=- s:a@13=4'
  const jobOf =
    (type: 'inner' | 'left') =>
    (value: Format<Line>): CompiledJob =>
      job('g')
        .from(topic('s', value))
        .keyBy('key')
        .joinTable('j', table(topic('t', value)), { type }, text)
        .to(out)
        .build()

  goldenTopics('inner: a record without a row is filtered', jobOf('inner'), {
    input,
    rows: ['a@11 2+7', 'a@12 3+8'],
    filtered: 2,
  })
  goldenTopics('left: it is joined with none', jobOf('left'), {
    input,
    rows: ['a@10 1+-', 'a@11 2+7', 'a@12 3+8', 'a@13 4+-'],
  })
  goldenTopics('keys have rows of their own, and the last one of each stays', jobOf('left'), {
    input: 't:a@1=7 t:b@1=8 s:b@2=1 t:b@3=- s:b@4=2 s:a@5=3 t:a@6=9 t:c@7=- t:ab@8=6 s:ab@9=4',
    rows: ['b@2 1+8', 'b@4 2+-', 'a@5 3+7', 'ab@9 4+6'],
    state: ['a', 'ab'],
  })
  goldenTopics(
    'what a filter of the table drops is as if it were not there',
    (value) =>
      job('g')
        .from(topic('s', value))
        .keyBy('key')
        .joinTable(
          'j',
          table(topic('t', value))
            .filter(({ v }) => v < 10)
            .map(({ key, v }) => ({ key, v: v * 100 })),
          { type: 'left' },
          text,
        )
        .to(out)
        .build(),
    { input: 't:a@1=7 s:a@2=1 t:a@3=17 s:a@4=2 t:a@5=- s:a@6=3', rows: ['a@2 1+700', 'a@4 2+-', 'a@6 3+-'] },
  )
})

/*
 *   time      10    15    20    25    30    35    40
 *   t         ■ 7         ■ 8         ╳                the row of a: 7 from 10 on, 8 from 20 on, none from 30 on
 *   s      ● 1   ● 2      ● 3   ● 4         ● 5        none, 7, 8, 8, none
 */
describe('a stream with a table as it was at the time of the record', () => {
  const jobOf =
    (grace: '0ms' | '5ms', type: 'inner' | 'left' = 'left', outOfOrder: '0ms' | '3ms' = '0ms') =>
    (value: Format<Line>): CompiledJob =>
      job('g')
        .from(topic('s', value, outOfOrder))
        .keyBy('key')
        .joinTable('j', table(topic('t', value, outOfOrder)), { type, asOf: { grace } }, text)
        .late(kafka('late'))
        .to(out)
        .build()
  const rows = ['a@9 1+-', 'a@15 2+7', 'a@20 3+8', 'a@25 4+8', 'a@35 5+-']
  const stream = 's:a@9=1 s:a@15=2 s:a@20=3 s:a@25=4 s:a@35=5'
  const versions = 't:a@10=7 t:a@20=8 t:a@30=-'

  goldenTopics('the table read first', jobOf('0ms'), { input: `${versions} ${stream}`, rows })
  goldenTopics('the stream read first', jobOf('0ms'), { input: `${stream} ${versions}`, rows })
  goldenTopics('in turns', jobOf('0ms'), {
    input: 's:a@9=1 t:a@10=7 s:a@15=2 s:a@20=3 t:a@20=8 t:a@30=- s:a@25=4 s:a@35=5',
    rows,
  })
  goldenTopics('inner: a record without a row gives none', jobOf('0ms', 'inner'), {
    input: `${versions} ${stream}`,
    rows: rows.slice(1, 4),
  })
  goldenTopics('rows come by time, then by key, then as they were read', jobOf('0ms', 'left', '3ms'), {
    input: 't:a@1=7 s:b@12=1 s:a@12=2 s:a@10=3 s:a@12=4 t:a@99=8 s:a@99=5',
    rows: ['a@10 3+7', 'a@12 2+7', 'a@12 4+7', 'b@12 1+-', 'a@99 5+8'],
    state: ['a'],
  })
  goldenTopics('of versions of one time the one that is read last counts', jobOf('0ms', 'left'), {
    input: 't:a@10=7 t:a@10=8 s:a@10=1 s:a@11=2 t:a@11=9 t:a@11=- t:b@12=1',
    rows: ['a@10 1+8', 'a@11 2+-'],
    state: ['b'],
  })
  /*
   *   grace 5: the record at 10 goes out when both clocks are past 15
   *
   *   read       t 5 ■ 7    s ● 10    t 15 ■ 8    s ● 15    t 9 ■ 9     s ● 16     t 16 ■ 6
   *   clock          -          5         10          15        15          15         16  out goes 10, with 9
   */
  goldenTopics('an update that is late by up to the grace still counts', jobOf('5ms'), {
    input: 't:a@5=7 s:a@10=1 t:a@15=8 s:a@15=2 t:a@9=9 s:a@16=3 t:a@16=6',
    rows: ['a@10 1+9', 'a@15 2+8', 'a@16 3+6'],
    state: ['a'],
  })
  goldenTopics('a record is late when the clock is past its time and the grace, not before', jobOf('5ms'), {
    input: 't:a@5=7 t:a@20=8 s:a@20=1 s:a@15=2 s:a@14=3',
    rows: ['a@15 2+7', 'a@20 1+8'],
    late: ['a@14=3'],
    state: ['a'],
  })
  /*
   *   t     10 ■ 7    20 ■ 8    clock 30        a version at 15 would be the row up to 20, and nobody asks for that any more;
   *                                             one at 25 is the row of those from 30 on
   */
  goldenTopics('a version is late when the next one is there for all that may still ask', jobOf('0ms'), {
    input: 't:a@10=7 t:a@20=8 t:b@30=1 s:b@30=1 t:a@15=6 t:a@15=- t:a@25=9 s:a@31=2',
    rows: ['b@30 1+1', 'a@31 2+9'],
    late: ['a@15=6', 'a@15=-'],
    state: ['a', 'b'],
  })
})

/*
 *   a    ■ 1            ■ 2      ╳
 *   b         ■ 7           ╳         ■ 8 ╳
 *        ──────────────────────────────────> as they are read
 */
describe('two tables', () => {
  const jobOf =
    (type: 'inner' | 'left' | 'outer') =>
    (value: Format<Line>): CompiledJob =>
      job('g')
        .table(topic('l', value))
        .join('j', table(topic('r', value)), { type }, text)
        .to(out)
        .build()
  const input = 'l:a@10=1 r:a@30=7 l:a@20=2 r:a@40=- l:a@50=- r:a@60=8 r:a@70=- r:a@80=-'

  goldenTopics('inner: a row while both have one', jobOf('inner'), {
    input,
    rows: ['a@30 1+7', 'a@30 2+7', 'a@40 -'],
  })
  goldenTopics('left: a row while the left one has one', jobOf('left'), {
    input,
    rows: ['a@10 1+-', 'a@30 1+7', 'a@30 2+7', 'a@40 2+-', 'a@50 -'],
  })
  goldenTopics('outer: a row while either has one', jobOf('outer'), {
    input,
    rows: ['a@10 1+-', 'a@30 1+7', 'a@30 2+7', 'a@40 2+-', 'a@50 -', 'a@60 -+8', 'a@70 -'],
  })
  goldenTopics('keys have rows of their own, and the last one of each stays', jobOf('outer'), {
    input: 'l:a@1=1 r:b@2=7 l:b@3=2 l:a@4=- r:c@5=8 l:c@6=- r:b@7=9',
    rows: ['a@1 1+-', 'b@2 -+7', 'b@3 2+7', 'a@4 -', 'c@5 -+8', 'b@7 2+9'],
    state: ['b', 'b', 'c'],
  })
  goldenTopics(
    'a table of two tables is a table: a third one joins it, and what is no more goes on as none',
    (value) =>
      job('g')
        .table(topic('l', value))
        .join('j', table(topic('r', value)), {}, (left, right) => ({ key: left.key, v: left.v * 10 + right.v }))
        .filter(({ v }) => v !== 13)
        .join('k', table(topic('x', value)), { type: 'left' }, text)
        .to(out)
        .build(),
    {
      input: 'l:a@1=1 x:a@2=5 r:a@3=2 r:a@4=3 r:a@5=4 x:a@6=- l:a@7=-',
      rows: ['a@3 12+5', 'a@4 -', 'a@5 14+5', 'a@6 14+-', 'a@7 -'],
      state: ['a'],
    },
  )
})
