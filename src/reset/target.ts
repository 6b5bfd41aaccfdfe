// Where a job is reset to: the words of `--to`, and the offset of each partition that they mean. Main thread; pure.
// Keeps SPEC: RESET-4 (a place that is not there is refused).

import { MillraceError } from '../core/errors.ts'

export type ResetTarget =
  | { kind: 'earliest' }
  | { kind: 'latest' }
  /** Partitions that are not named stay where they are, with their state. */
  | { kind: 'offsets'; offsets: ReadonlyMap<number, number> }
  /** The first record whose Kafka timestamp is at or after it; where there is none, the end. */
  | { kind: 'time'; timestampMs: number }

/** One partition of the input: its bounds, and where the time of a time target begins in it. */
export interface InputBounds {
  partition: number
  low: number
  high: number
  /** Undefined: no record is that young, or no time was asked for. */
  timeOffset: number | undefined
}

const EXPECTED = 'earliest, latest, <partition>:<offset>,... or a time as 2026-01-31T09:30:00Z'
const TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/
const PLACE = /^(\d{1,6}):(\d{1,16})$/

/**
 * Reads the words of `--to`; a day without a time is its midnight in UTC.
 *
 * @throws MillraceError MR3002 that says what is expected
 * @example
 * parseTarget('0:120,3:4500') // { kind: 'offsets', offsets: Map { 0 => 120, 3 => 4500 } }
 */
export function parseTarget(text: string): ResetTarget {
  if (text === 'earliest' || text === 'latest') return { kind: text }
  if (TIME.test(text)) {
    const timestampMs = Date.parse(text)
    if (Number.isFinite(timestampMs)) return { kind: 'time', timestampMs }
    throw refused(`--to ${text}: there is no such time`)
  }
  return { kind: 'offsets', offsets: parseOffsets(text) }
}

function parseOffsets(text: string): ReadonlyMap<number, number> {
  const offsets = new Map<number, number>()
  for (const part of text.split(',')) {
    const match = PLACE.exec(part.trim())
    if (match === null) throw refused(`--to ${text}: expected ${EXPECTED}`)
    const partition = Number(match[1])
    const offset = Number(match[2])
    if (!Number.isSafeInteger(offset)) throw refused(`--to ${text}: the offset of partition ${partition} is too large`)
    if (offsets.has(partition)) throw refused(`--to ${text}: partition ${partition} is named twice`)
    offsets.set(partition, offset)
  }
  return offsets
}

/**
 * The offset that each partition goes to; partitions that stay are not in it.
 *
 * @throws MillraceError MR3002 for a partition or an offset that is not there
 */
export function resolveTarget(target: ResetTarget, topic: string, bounds: readonly InputBounds[]): Map<number, number> {
  if (target.kind !== 'offsets') return new Map(bounds.map((one) => [one.partition, offsetIn(target, one)]))
  for (const [partition, offset] of target.offsets) {
    const found = bounds.find((one) => one.partition === partition)
    if (found === undefined) {
      throw refused(`topic ${topic} has the partitions 0 to ${bounds.length - 1}, no partition ${partition}`)
    }
    const { low, high } = found
    if (offset < low || offset > high) {
      throw refused(`partition ${partition} of topic ${topic} goes from offset ${low} to ${high}, not to ${offset}`)
    }
  }
  return new Map(target.offsets)
}

function offsetIn(target: Exclude<ResetTarget, { kind: 'offsets' }>, bounds: InputBounds): number {
  switch (target.kind) {
    case 'earliest':
      return bounds.low
    case 'latest':
      return bounds.high
    case 'time':
      return bounds.timeOffset ?? bounds.high
  }
}

function refused(reason: string): MillraceError {
  return new MillraceError('MR3002', { reason })
}
