// When the next epoch is cut: a pure decision. Main thread; no clock, no I/O.
// Keeps SPEC: EPOCH-1 (epochs follow each other as fast as Kafka commits, within their bounds).

export interface CadenceFacts {
  /** Anything to commit: records processed, watermarks moved, start positions not yet recorded. */
  hasWork: boolean
  /** Since the last epoch was cut. */
  sinceCutMs: number
  /** Partitions that the last transaction wrote to; each costs the brokers a marker. */
  partitionCount: number
  /** Records between the read position and the end of the input. */
  lagRecords: number
  /** Bytes of results that wait for their transaction, as a share of their limit (0 to 1). */
  pendingShare: number
  /** Somebody waits for the commit: a stop, or a caller. */
  isAwaited: boolean
}

export interface CadenceLimits {
  commitMinMs: number
  commitMaxMs: number
  /** A backlog of more records than this is caught up with in epochs of `catchUpMs`: fewer seals, markers and rows. */
  catchUpRecords: number
  catchUpMs: number
}

/** One marker a partition and half a millisecond: 65 partitions at 200 commits a second would be 13,000 writes a second. */
const MARKER_COST_MS = 0.5

/** `cut` now, `wait` so many milliseconds, or be `idle` until there is work. */
export type CadenceDecision = { kind: 'cut' } | { kind: 'wait'; delayMs: number } | { kind: 'idle' }

/**
 * Decides whether the open epoch is cut.
 *
 * @example
 * decideCadence({ hasWork: true, sinceCutMs: 6, partitionCount: 4, lagRecords: 0, pendingShare: 0, isAwaited: false }, limits)
 * // { kind: 'cut' } with commitMinMs 5
 */
export function decideCadence(facts: CadenceFacts, limits: CadenceLimits): CadenceDecision {
  if (!facts.hasWork) return { kind: 'idle' }
  if (facts.isAwaited || facts.pendingShare >= 0.5) return { kind: 'cut' }
  const isCatchingUp = facts.lagRecords > limits.catchUpRecords
  const shortestMs = Math.max(limits.commitMinMs, MARKER_COST_MS * facts.partitionCount)
  const intervalMs = isCatchingUp ? limits.catchUpMs : Math.min(shortestMs, limits.commitMaxMs)
  const delayMs = intervalMs - facts.sinceCutMs
  return delayMs <= 0 ? { kind: 'cut' } : { kind: 'wait', delayMs }
}
