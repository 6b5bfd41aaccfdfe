// Interval joins by nested loops: what the rows of a list of records are, and how they are compared with those of a job.
import { unpack } from 'msgpackr'
import { expect } from 'vitest'
import { type Duration, job, kafka, msgpack, stream } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import type { JoinType } from '../../src/job/stages.ts'
import type { Row } from '../lane/lane-driver.ts'
import type { DrivenStreams, StreamRecord } from '../lane/streams-driver.ts'

export const SIDES = ['left', 'right'] as const
export type Side = 0 | 1

export interface Event {
  id: number
  side: Side
  key: string
  ts: number
  /** Bounds of a left record, where the shape takes them from fields. */
  from: number
  to: number
  pad?: string
}

export interface Shape {
  type: JoinType
  before: number
  after: number
  isOfFields: boolean
  grace: number
  outOfOrder: [number, number]
}

export const ms = (n: number): Duration => `${n}ms` as Duration
export const topicOf = (side: Side, { outOfOrder }: Shape) =>
  kafka(SIDES[side], { value: msgpack<Event>(), key: 'key', eventTime: 'ts', outOfOrder: ms(outOfOrder[side]) })

export function joined(shape: Shape) {
  const { type, before, after, isOfFields, grace } = shape
  const within = isOfFields
    ? { before: { field: 'from' as const, max: ms(before) }, after: { field: 'to' as const, max: ms(after) } }
    : { before: ms(before), after: ms(after) }
  return job('j')
    .from(topicOf(0, shape))
    .keyBy('key')
    .join('j', stream(topicOf(1, shape)).keyBy('key'), { within, type, grace: ms(grace) }, (left, right) => ({
      left: left?.id ?? -1,
      right: right?.id ?? -1,
    }))
    .late(kafka('late'))
}

export interface Waiting {
  event: Event
  from: number
  to: number
  deadline: number
  isMet: boolean
}
export interface Pair {
  key: string
  ts: number
  left: number
  right: number
}

/** JOIN-1 to JOIN-3, record by record, over a list of all that were taken. */
export function oracle(events: readonly Event[], shape: Shape) {
  const watermarks = [-Infinity, -Infinity]
  const all: Waiting[] = []
  const [rows, late, dead]: [Pair[], number[], number[]] = [[], [], []]
  const isOuter = [shape.type === 'left' || shape.type === 'outer', shape.type === 'right' || shape.type === 'outer']
  const pair = (key: string, ts: number, ids: [number, number]): void => {
    rows.push({ key, ts, left: ids[0], right: ids[1] })
  }
  const close = (watermark: number): void => {
    const due = all.filter(({ event, isMet, deadline }) => isOuter[event.side] && !isMet && deadline < watermark)
    due.sort((a, b) => a.deadline - b.deadline || a.event.side - b.event.side || (a.event.key < b.event.key ? -1 : 1))
    for (const one of due) {
      one.isMet = true
      pair(one.event.key, one.event.ts, one.event.side === 0 ? [one.event.id, -1] : [-1, one.event.id])
    }
  }
  for (const event of events) {
    const { side, key, ts } = event
    watermarks[side] = Math.max(watermarks[side]!, ts - shape.outOfOrder[side])
    const watermark = Math.min(...watermarks)
    close(watermark)
    const { before, after } = side === 0 ? shape : { before: shape.after, after: shape.before }
    const isOfFields = shape.isOfFields && side === 0
    const [from, to] = isOfFields ? [event.from, event.to] : [ts - before, ts + after]
    if (Math.abs(from - ts) > before || Math.abs(to - ts) > after) {
      dead.push(event.id)
      continue
    }
    const deadline = to + shape.grace
    const near = all.filter((one) => {
      if (one.event.side === side || one.event.key !== key || one.deadline < watermark) return false
      const [left, right] = side === 0 ? [{ from, to }, one.event] : [one, event]
      return left.from <= right.ts && right.ts <= left.to
    })
    for (const one of near) {
      one.isMet = true
      const ids: [number, number] = side === 0 ? [event.id, one.event.id] : [one.event.id, event.id]
      pair(key, Math.max(ts, one.event.ts), ids)
    }
    if (deadline >= watermark) all.push({ event, from, to, deadline, isMet: near.length > 0 })
    else if (near.length === 0) late.push(event.id)
  }
  close(Infinity)
  return { rows, late, dead }
}

export const inputOf = (list: readonly Event[]): StreamRecord[] =>
  list.map((value) => ({ topic: SIDES[value.side], key: value.key, value, timestampMs: value.ts }))

export const toOut = (shape: Shape): CompiledJob => joined(shape).to(kafka('out')).build()
export function pairsOf({ rows }: DrivenStreams): Pair[] {
  return rows
    .filter(({ topic }) => topic === 'out')
    .map(({ key, timestampMs: ts, value }) => ({
      key: key!,
      ts,
      ...(unpack(value!) as { left: number; right: number }),
    }))
}
export const texts = (pairs: readonly Pair[]): string[] => pairs.map((pair) => JSON.stringify(pair))
export const isAlone = ({ left, right }: Pair): boolean => left < 0 || right < 0
export const idsOf = (rows: readonly Row[], topic: string): number[] =>
  rows.filter((row) => row.topic === topic).map(({ value }) => (unpack(value!) as Event).id)

export function expectOracle(driven: DrivenStreams, list: readonly Event[], shape: Shape): void {
  const expected = oracle(list, shape)
  const pairs = pairsOf(driven)
  expect(texts(pairs).sort()).toEqual(texts(expected.rows).sort())
  // Of rows without a match the order is that of deadlines and keys.
  expect(pairs.filter(isAlone)).toEqual(expected.rows.filter(isAlone))
  expect(idsOf(driven.rows, 'late')).toEqual(expected.late)
  expect(idsOf(driven.rows, 'j-dlq')).toEqual(expected.dead)
  const [late, dead, made] = [expected.late.length, expected.dead.length, expected.rows.length]
  const accepted = list.length - late - dead + made
  expect(driven.counts).toMatchObject({ in: list.length, expanded: made, accepted, late, dead, filtered: 0 })
  expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
}
