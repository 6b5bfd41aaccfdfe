// Arithmetic of record counts. Any thread; pure. Keeps SPEC: COUNT-1.

import type { TaskCounts } from './message.ts'

/** Counts of nothing. */
export function noCounts(): TaskCounts {
  return { in: 0, expanded: 0, accepted: 0, late: 0, dead: 0, filtered: 0, refused: 0, results: 0 }
}

/** Adds `more` to `sum` in place. */
export function addCounts(sum: TaskCounts, more: TaskCounts): void {
  sum.in += more.in
  sum.expanded += more.expanded
  sum.accepted += more.accepted
  sum.late += more.late
  sum.dead += more.dead
  sum.filtered += more.filtered
  sum.refused += more.refused
  sum.results += more.results
}

/** in + expanded = accepted + late + dead + filtered. */
export function countsAddUp(counts: TaskCounts): boolean {
  return counts.in + counts.expanded === counts.accepted + counts.late + counts.dead + counts.filtered
}

/**
 * What the counts of a task add to those of its job, where records go through several tasks: they are read from a source by the
 * first, and what has moved on is accepted by the next one; late, dead, filtered and expanded they may be in any.
 *
 * @example
 * addCounts(total, shareOfJob(counts, { isSource: true, moved: 0 }))
 */
export function shareOfJob(counts: TaskCounts, { isSource, moved }: { isSource: boolean; moved: number }): TaskCounts {
  return { ...counts, in: isSource ? counts.in : 0, accepted: counts.accepted - moved }
}
