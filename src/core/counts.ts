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
 * What the counts of a task add to those of its job, where records go through two tasks: they are read by the first and
 * accepted by the last; late, dead, filtered and expanded they may be in both.
 *
 * @example
 * addCounts(total, shareOfJob(counts, { isFirst: true, isLast: false }))
 */
export function shareOfJob(counts: TaskCounts, place: { isFirst: boolean; isLast: boolean }): TaskCounts {
  return { ...counts, in: place.isFirst ? counts.in : 0, accepted: place.isLast ? counts.accepted : 0 }
}
