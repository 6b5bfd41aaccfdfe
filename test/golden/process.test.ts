// Golden tables of functions with state and timers. Holds SPEC: PROCESS-2, PROCESS-3, PROCESS-4, PROCESS-5, PROCESS-6, R3, R4.
import { unpack } from 'msgpackr'
import { describe } from 'vitest'
import { count, job, kafka, msgpack, type ProcessContext, tumbling } from '../../src/index.ts'
import type { Row } from '../lane/lane-driver.ts'
import { fieldsOf, golden, type Tick } from './golden.ts'

const keyed = job('g')
  .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: '4ms' }))
  .keyBy('key')

type Context = ProcessContext<number | undefined, [what: string, state: number | null]>

/** Adds up; a timer `value` after each record, one that is negative cancels it, 0 is deleted, 99 throws. */
const summed = keyed
  .process('p', {
    ttl: '20ms',
    onRecord({ ts, value }, ctx: Context) {
      if (value > 0) {
        ctx.state.set((ctx.state.get() ?? 0) + value)
        ctx.timers.at(ts + value)
      } else if (value < 0) ctx.timers.cancel(ts - value)
      else ctx.state.delete()
      ctx.emit(['record', ctx.state.get() ?? null])
      if (value === 99) throw new RangeError('unlucky')
    },
    onTimer: ({ timeMs }, ctx) => ctx.emit([`timer ${timeMs}`, ctx.state.get() ?? null]),
  })
  .to(kafka('out'))
  .build()

/** `a@12 timer 12: 3`: key, time, what, state. */
function text({ key, value, timestampMs }: Row): string {
  const [what, state] = unpack(value!) as [string, number | null]
  return `${key}@${timestampMs} ${what}: ${state}`
}

/*
 *   the watermark is 4 behind the greatest time
 *
 *   10    15    20    25    30      event time
 *   ├─────┼─────┼─────┼─────┤
 *   a     ╷ timer of a, 5 behind: comes when the watermark is at 15, by a record of time 19
 */
describe('timers of a process', () => {
  golden(
    'come before the record that moves the watermark to them, not before',
    summed,
    {
      input: 'a@10=5 b@18=1 b@19=30',
      rows: [
        'a@10 record: 5',
        'b@18 record: 1',
        'a@15 timer 15: 5',
        'b@19 record: 31',
        'b@19 timer 19: 31',
        'b@49 timer 49: null',
      ],
      counts: { expanded: 6 },
    },
    text,
  )
  golden(
    'that a leap makes due come by time and then by key, each with the state of its time',
    summed,
    {
      input: 'b@10=5 a@10=5 a@12=9 a@200=0',
      rows: [
        'b@10 record: 5',
        'a@10 record: 5',
        'a@12 record: 14',
        'a@15 timer 15: 14',
        'b@15 timer 15: 5',
        'a@21 timer 21: 14',
        'a@200 record: null',
      ],
      counts: { expanded: 7 },
    },
    text,
  )
  golden(
    'of a key at one time are one, and a cancelled one is none',
    summed,
    {
      input: 'a@10=6 a@11=5 a@12=-4 a@13=7 a@14=-6',
      rows: ['a@10 record: 6', 'a@11 record: 11', 'a@12 record: 11', 'a@13 record: 18', 'a@14 record: 18'],
      counts: { expanded: 5 },
    },
    text,
  )
  golden(
    'for a time that has passed come at once, at the watermark',
    summed,
    {
      input: 'b@30=1 a@20=2 b@31=1',
      rows: [
        'b@30 record: 1',
        'a@20 record: 2',
        'a@26 timer 22: 2',
        'b@31 record: 2',
        'b@31 timer 31: 2',
        'b@32 timer 32: 2',
      ],
      counts: { expanded: 6 },
    },
    text,
  )
  golden(
    'a record that throws sets none, and what it set is not kept',
    summed,
    { input: 'a@10=99 a@11=0', rows: ['a@11 record: null'], counts: { expanded: 1, dead: 1 } },
    text,
  )
})

/*
 *   ttl 20: written at 10, the state is there while the watermark is at most 30, which a record of time 34 makes it
 */
describe('the state of a process', () => {
  golden(
    'is gone when the watermark is past its last write and the ttl',
    summed,
    {
      input: 'a@10=1 b@34=-1 a@34=1 b@59=-1 a@59=1',
      rows: [
        'a@10 record: 1',
        'a@11 timer 11: 1',
        'b@34 record: null',
        'a@34 record: 2',
        'a@35 timer 35: 2',
        'b@59 record: null',
        'a@59 record: 1',
        'a@60 timer 60: 1',
      ],
      counts: { expanded: 8 },
    },
    text,
  )
})

/** The rows of timers fall into the windows of their times, whatever made them due. */
const counted = keyed
  .process('p', {
    onRecord: ({ ts, value }, ctx: ProcessContext<undefined, { at: number }>) => {
      for (let i = 1; i <= value; i++) ctx.timers.at(ts + i * 5)
    },
    onTimer: ({ timeMs }, ctx) => ctx.emit({ at: timeMs }),
  })
  .window('w', tumbling('10ms'))
  .aggregate({ n: count() })
  .to(kafka('out'))
  .build()

describe('windows behind a process', () => {
  golden(
    'hold the rows of timers: none is late',
    counted,
    {
      input: 'a@0=4 b@3=0 b@90=1 b@91=0',
      rows: ['a[0 n1', 'a[10 n2', 'a[20 n1', 'b[90 n1'],
      counts: { expanded: 5 },
    },
    (row) => `${fieldsOf(row).key}[${fieldsOf(row).windowStart} n${fieldsOf(row).n}`,
  )
})
