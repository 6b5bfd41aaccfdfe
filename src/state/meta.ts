// The meta record of a store: which task, plan and changelog it belongs to, and up to where it is written.
// Runs on a lane; pure.
// Keeps SPEC: STATE-1 (rows and position of one epoch are one write), STATE-5 (a store of another life is wiped).

import { pack, unpack } from 'msgpackr'
import { noCounts } from '../core/counts.ts'
import type { TaskCounts, TaskPosition } from '../core/message.ts'

/** Grows when the layout of keys, values or meta changes; a store of another version is wiped. */
export const STORE_VERSION = 1

export interface StoreMeta {
  version: number
  taskId: string
  planHash: string
  changelogTopicId: string | undefined
  /** Where reading the changelog goes on. */
  changelogOffset: number
  /** When the store was last written, ms since the epoch. */
  lastWriteMs: number
  /** The place that the rows belong to; undefined while a restore is under way and before the first commit. */
  position: TaskPosition | undefined
}

/** The bytes of a meta record (msgpack: it must carry ±Infinity). */
export function encodeMeta(meta: StoreMeta): Uint8Array {
  return pack({ ...meta, changelogTopicId: meta.changelogTopicId ?? null, position: meta.position ?? null })
}

/** The meta record of the bytes, or undefined when they are not one: the store is damaged or of another version. */
export function decodeMeta(bytes: Uint8Array): StoreMeta | undefined {
  const raw = unpackRecord(bytes)
  if (raw === undefined || raw.version !== STORE_VERSION) return undefined
  const { taskId, planHash, changelogTopicId, changelogOffset, lastWriteMs } = raw
  if (typeof taskId !== 'string' || typeof planHash !== 'string') return undefined
  if (typeof changelogTopicId !== 'string' && changelogTopicId !== null) return undefined
  if (typeof changelogOffset !== 'number' || typeof lastWriteMs !== 'number') return undefined
  const position = raw.position === null ? undefined : positionOf(raw.position)
  if (position === undefined && raw.position !== null) return undefined
  return {
    version: STORE_VERSION,
    taskId,
    planHash,
    changelogTopicId: changelogTopicId ?? undefined,
    changelogOffset,
    lastWriteMs,
    position,
  }
}

function unpackRecord(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const raw: unknown = unpack(bytes)
    return isRecord(raw) ? raw : undefined
  } catch {
    // Bytes that are no msgpack are the same finding as bytes that are no meta: the caller wipes the store.
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const POSITION_NUMBERS = ['epoch', 'inputOffset', 'watermarkMs', 'eventTimeMsMax'] as const
const POSITION_STRINGS = ['taskId', 'instanceId', 'source', 'planHash'] as const
const COUNT_NAMES = Object.keys(noCounts()) as (keyof TaskCounts)[]

/** Proves that a decoded value is a task position. Also for the markers of a changelog. */
export function positionOf(value: unknown): TaskPosition | undefined {
  if (!isRecord(value) || typeof value.isEnded !== 'boolean' || !isRecord(value.counts)) return undefined
  const counts = value.counts
  const isProven =
    POSITION_NUMBERS.every((name) => typeof value[name] === 'number') &&
    POSITION_STRINGS.every((name) => typeof value[name] === 'string') &&
    COUNT_NAMES.every((name) => typeof counts[name] === 'number') &&
    (value.clocks === undefined || areClocks(value.clocks)) &&
    (value.chains === undefined || areChains(value.chains)) &&
    (value.feeds === undefined || areFeeds(value.feeds))
  return isProven ? (value as unknown as TaskPosition) : undefined
}

function areClocks(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((one) => isRecord(one) && typeof one.watermarkMs === 'number' && typeof one.isIdle === 'boolean')
  )
}

function isChain(one: unknown): one is Record<string, unknown> {
  return (
    isRecord(one) &&
    typeof one.watermarkMs === 'number' &&
    typeof one.eventTimeMsMax === 'number' &&
    typeof one.isEnded === 'boolean' &&
    (one.clocks === undefined || (areClocks(one.clocks) && typeof one.clocksMs === 'number'))
  )
}

function areChains(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => one === null || isChain(one))
}

function areFeeds(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((one) => isChain(one) && typeof one.inputOffset === 'number')
}
