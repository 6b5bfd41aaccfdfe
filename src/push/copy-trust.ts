// Whether a copy of a view may be gone on from, and what it remembers of the changes before. Main thread; pure.
// Keeps SPEC: PUSH-41 (a copy that cannot be trusted is not used), PUSH-12 (what is remembered after a restart).

import { MillraceError } from '../core/errors.ts'
import type { Change, ChangeBatch, CopyIdentity, CopyMeta } from './copy-codec.ts'
import type { Offsets } from './position-token.ts'
import { bytesOf } from './row-table.ts'
import type { Remembered, ViewRow } from './view-store.ts'

/** The topic as it is now. */
export interface TopicMarks {
  /** By partition: its first offset, and the one behind its last. */
  low: Offsets
  high: Offsets
  /** So long a removal stays at least; 0: not known. */
  removalMs: number
  /** False: a topic that was made anew would not be noticed. */
  isIdKnown: boolean
}

/** Why a copy cannot be used, or undefined when it can. */
export function distrust(meta: CopyMeta, identity: CopyIdentity, marks: TopicMarks, nowMs: number): string | undefined {
  for (const name of ['view', 'topic', 'topicId', 'format'] as const) {
    if (meta[name] !== identity[name]) return `its ${name} is ${meta[name]}, not ${identity[name]}`
  }
  if (!marks.isIdKnown) return 'the id of the topic is not known, a topic that was made anew would not be noticed'
  const { offsets, wholeMs } = meta
  if (offsets.length !== marks.low.length) return `it has ${offsets.length} partitions, not ${marks.low.length}`
  for (const [partition, offset] of offsets.entries()) {
    const [low, high] = [marks.low[partition]!, marks.high[partition]!]
    if (offset < low) return `it ended at offset ${offset} of partition ${partition}, before its start ${low}`
    if (offset > high) return `it ended at offset ${offset} of partition ${partition}, beyond its end ${high}`
  }
  if (wholeMs === 0) return 'it was never whole'
  if (marks.removalMs === 0) return 'how long the topic keeps removals is not known (delete.retention.ms)'
  // As for positions, half of it: removals that the copy has not seen must still be there when they are read.
  const ageMs = nowMs - wholeMs
  if (ageMs > marks.removalMs / 2) return `it was whole ${ageMs} ms ago, over half of delete.retention.ms`
  return undefined
}

export interface RecallLimits {
  /** Places of the ring. */
  recentRowsMax: number
  /** Of memory for the rows in it. */
  bytesMax: number
}

export interface Recalled {
  known: Remembered
  /** Changes that are remembered, in their order, without those that newer ones replaced. */
  recent: ViewRow[]
}

/**
 * What a copy remembers, as much as there is room for.
 *
 * @param batches newest first
 * @param read the row of a key as the copy has it
 * @throws MillraceError MR7032 when changes and rows do not fit together
 */
export function recall(
  meta: CopyMeta,
  batches: readonly ChangeBatch[],
  read: (key: string) => ViewRow | undefined,
  { recentRowsMax, bytesMax }: RecallLimits,
): Recalled {
  const recent: ViewRow[] = []
  const seen = new Set<string>()
  const floor = Math.max(meta.forgottenSequence, meta.sequence - recentRowsMax)
  let bytes = 0
  for (const [index, batch] of batches.entries()) {
    for (let at = batch.changes.length - 1; at >= 0; at--) {
      const change = batch.changes[at]!
      const [sequence, , , , , key] = change
      const row = sequence > floor && !seen.has(key) ? rowOf(meta, change, read) : undefined
      bytes += row === undefined ? 0 : bytesOf(row)
      if (sequence <= floor || bytes > bytesMax) {
        return { known: without(meta, sequence, batch, batches[index + 1]), recent: recent.reverse() }
      }
      seen.add(key)
      if (row !== undefined) recent.push(row)
    }
  }
  return { known: { ...meta, forgottenSequence: floor }, recent: recent.reverse() }
}

function rowOf(
  { view }: CopyMeta,
  [sequence, partition, offset, timestampMs, isRemoval, key]: Change,
  read: (key: string) => ViewRow | undefined,
): ViewRow {
  const removed = { json: 'null', isRemoval, isFinal: false, isCurrent: true, place: undefined }
  if (isRemoval) return { key, partition, offset, timestampMs, sequence, revision: 0, ...removed }
  const row = read(key)
  if (row?.sequence === sequence) return row
  throw new MillraceError('MR7032', { view, reason: `its row of ${key} is not that of change ${sequence}` })
}

/** Changes up to a sequence in a batch are forgotten, and all of the batches before it. */
function without(meta: CopyMeta, sequence: number, batch: ChangeBatch, before: ChangeBatch | undefined): Remembered {
  if (sequence <= meta.forgottenSequence) return meta
  const next = [...(before?.offsets ?? meta.forgotten)]
  for (const [of, partition, offset] of batch.changes) {
    if (of <= sequence) next[partition] = Math.max(next[partition]!, offset + 1)
  }
  const later = (known: Offsets): number[] => known.map((offset, partition) => Math.max(offset, next[partition]!))
  const { forgotten, forgottenRemovals } = meta
  return {
    ...meta,
    forgottenSequence: sequence,
    forgotten: later(forgotten),
    forgottenRemovals: later(forgottenRemovals),
  }
}
