// How a task finds the place to go on from: pure decisions over what the group and the changelog say. Main thread.
// Keeps SPEC: RECOVER-1 (state and offsets agree), RECOVER-2 (the wait rule), RECOVER-3 (the marker is trusted).

/*
 * The changelog of one partition, while its last transaction is still being ended by the broker:
 *
 *   ... rows  marker(E-1)  |  rows  marker(E)  |
 *                          ^ last stable offset ^ end (read uncommitted)
 *   group's offsets: already those of E
 *
 * A read-committed reader stops at the first mark, and must not be believed until it has come to the second.
 */
export interface RecoveryFacts {
  /** The group's committed offset, undefined when there is none. */
  committedOffset: number | undefined
  /** Input offset of the last marker read so far, undefined when none was seen. */
  markerOffset: number | undefined
  /** Where the read-committed reader of the changelog stands. */
  readOffset: number
  /** End of the changelog, read uncommitted, asked after the transactional id was initialised. */
  changelogEnd: number
  /** The reader has stood at the last stable offset this long without moving; 0 when it is not there. */
  stalledMs: number
}

export type RecoveryDecision =
  /** There are rows to read, or transactions whose end has yet to show. */
  | { kind: 'read' }
  /** Everything is read: go on at `inputOffset` (undefined: a new task, start where the source says). */
  | { kind: 'resume'; inputOffset: number | undefined; note: 'agree' | 'marker-ahead' | 'offsets-missing' | 'new' }
  /** A transaction that is not ours holds the changelog's end back: nothing can be said yet. */
  | { kind: 'retry' }
  /** The offsets are ahead of the changelog at its end: rows are missing. */
  | { kind: 'stop'; committedOffset: number; markerOffset: number | undefined }

/** A foreign transaction holds the changelog's end back until its time-out (10 s for ours); this is well beyond. */
export const STALL_LIMIT_MS = 30_000

/**
 * Decides what the recovery of a stateful task does next.
 *
 * @example
 * decideRecovery({ committedOffset: 10, markerOffset: 10, readOffset: 7, changelogEnd: 7, stalledMs: 0 })
 * // { kind: 'resume', inputOffset: 10, note: 'agree' }
 */
export function decideRecovery(facts: RecoveryFacts): RecoveryDecision {
  const { committedOffset, markerOffset } = facts
  const isAhead = committedOffset !== undefined && (markerOffset === undefined || committedOffset > markerOffset)
  if (facts.readOffset < facts.changelogEnd) return { kind: facts.stalledMs < STALL_LIMIT_MS ? 'read' : 'retry' }
  if (isAhead) return { kind: 'stop', committedOffset, markerOffset }
  if (markerOffset === undefined) return { kind: 'resume', inputOffset: undefined, note: 'new' }
  if (committedOffset === undefined) return { kind: 'resume', inputOffset: markerOffset, note: 'offsets-missing' }
  return {
    kind: 'resume',
    inputOffset: markerOffset,
    note: committedOffset === markerOffset ? 'agree' : 'marker-ahead',
  }
}

/** The note of a resume, for the log. */
export function resumeNote(note: 'agree' | 'marker-ahead' | 'offsets-missing' | 'new'): string {
  switch (note) {
    case 'agree':
      return 'offsets and changelog agree'
    case 'marker-ahead':
      return 'the group offset is behind the changelog; the changelog is trusted'
    case 'offsets-missing':
      return 'the group has no offset any more; the changelog is trusted'
    case 'new':
      return 'a new task'
  }
}
