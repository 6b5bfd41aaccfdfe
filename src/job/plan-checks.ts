// What is looked at once a plan is whole: its topics and its intervals. Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), TABLE-6 (what has moved meets no topic that is read on its way).

import { type Findings, show } from './checks.ts'
import { allOperators, EVERY_INTERVALS_MAX, type Plan } from './plan.ts'
import { CircleError, changelogNames, globalSources, sourceTopics, topologyOf } from './topology.ts'

export function checkIntervals(found: Findings, plan: Plan): void {
  const emits = allOperators(plan).flatMap((operator) => ('emit' in operator ? [operator.emit] : []))
  const intervals = new Set(emits.flatMap((emit) => (emit.kind === 'every' ? [emit.everyMs] : [])))
  if (intervals.size > EVERY_INTERVALS_MAX) {
    found.add(`the sinks have ${intervals.size} different 'every' intervals, ${EVERY_INTERVALS_MAX} are possible`)
  }
}

/** Records that have moved meet no topic of those that move: they would be read and written by the same tasks. True: they do. */
export function checkCircles(found: Findings, plan: Plan): boolean {
  try {
    topologyOf(plan)
    return false
  } catch (error) {
    if (!(error instanceof CircleError)) throw error
    const { moved, topics } = error
    found.add(
      `what moves through ${show(moved)} meets records of ${topics.map(show).join(' or ')} again, which are read before it: write it to a topic of its own with to, and let a second job go on from there`,
    )
    return true
  }
}

/** No two uses of one topic, but several sinks may share one. */
export function checkTopics(found: Findings, plan: Plan): void {
  const uses = new Map<string, string>()
  const take = (topic: string, use: string): void => {
    const other = uses.get(topic)
    if (other !== undefined && !(other === use && (use === 'a sink' || use === 'the late topic'))) {
      found.add(`the topic ${show(topic)} cannot be ${other} and ${use} at once`)
    }
    uses.set(topic, use)
  }
  for (const topic of sourceTopics(plan)) take(topic, 'the source')
  for (const { topic } of globalSources(plan)) take(topic, 'a global table')
  take(plan.deadLetterTopic ?? `${plan.job}-dlq`, 'the dead-letter topic')
  take(`${plan.job}-changelog`, 'the changelog')
  for (const name of changelogNames(plan)) {
    if (name !== undefined && name !== `${plan.job}-changelog`) take(name, 'the changelog')
  }
  for (const operator of allOperators(plan)) {
    if (operator.kind === 'late') take(operator.topic, 'the late topic')
    if (operator.kind === 'repartition') take(operator.topic, 'the repartition topic')
    // Two views of one name are told as two operators of one name.
    if (operator.kind === 'view' && uses.get(operator.topic) !== 'a view') take(operator.topic, 'a view')
    if (operator.kind === 'to') take(operator.topic, 'a sink')
  }
}
