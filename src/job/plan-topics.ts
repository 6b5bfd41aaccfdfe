// The topics that a plan touches, in a fixed order. Runs on every thread; pure.
// Keeps SPEC: TOPIC-1 (every topic of a job is known before it starts).

import { allOperators, type Plan, type PlanTopics } from './plan.ts'
import { changelogNames } from './topology.ts'

/**
 * Lists the topics that a plan writes. Internal names: `<job>-dlq` (unless the job chose another), `<job>-changelog`,
 * `<job>-repartition`; views: `<job>-view-<view>`.
 *
 * @example
 * planTopics(plan).names // ['totals', 'totals-dlq', 'totals-changelog']
 */
export function planTopics(plan: Plan): PlanTopics {
  const names: string[] = []
  const byOperator: Record<string, number> = {}
  const repartitions: number[] = []
  const indexOf = (name: string): number => {
    const known = names.indexOf(name)
    return known >= 0 ? known : names.push(name) - 1
  }
  for (const operator of allOperators(plan)) {
    if (!('topic' in operator)) continue
    const index = indexOf(operator.topic)
    byOperator[operator.name] = index
    if (operator.kind === 'repartition') repartitions.push(index)
  }
  const dlq = indexOf(plan.deadLetterTopic ?? `${plan.job}-dlq`)
  const changelogs = changelogNames(plan).map((name) => (name === undefined ? -1 : indexOf(name)))
  return { names, byOperator, dlq, changelogs, repartitions }
}
