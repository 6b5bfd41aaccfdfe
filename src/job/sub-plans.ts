// A job whose records move to other partitions is two sub-topologies: up to the repartition topic, and from it. Each is a
// plan of its own, for tasks of its own. Runs on every thread; pure.
// Keeps SPEC: REPART-1 (keyBy on any other field goes through a repartition topic).

import { isStateful, type OperatorPlan, type Plan, type SourcePlan } from './plan.ts'

/*
 *   source --filter, map--> repartition        sub-topology 0: a task a partition of the source, no state
 *                              |
 *                        <job>-repartition
 *                              |
 *                           keyBy --window, aggregate--> sinks    sub-topology 1: a task a partition of that topic
 */

/**
 * The plans of the sub-topologies, in the order of the records: one, or two with a repartition. Their topics are those of the
 * whole plan.
 *
 * @example
 * subPlans(plan).map(({ source }) => source.topic) // ['orders', 'totals-repartition']
 */
export function subPlans(plan: Plan): Plan[] {
  const at = plan.operators.findIndex(({ kind }) => kind === 'repartition')
  const repartition = plan.operators[at]
  if (repartition?.kind !== 'repartition') return [plan]
  return [
    { ...plan, operators: plan.operators.slice(0, at + 1) },
    { ...plan, source: repartitionSource(plan.source, repartition), operators: plan.operators.slice(at + 1) },
  ]
}

/** The topics that tasks read, by sub-topology. */
export function inputTopics(plan: Plan): string[] {
  return subPlans(plan).map(({ source }) => source.topic)
}

/** The sub-topology that keeps state; -1 for a stateless job. */
export function statefulSub(plan: Plan): number {
  return subPlans(plan).findIndex(isStateful)
}

/** What was checked before the records moved is not checked again: key, event time, schema. */
function repartitionSource(
  source: SourcePlan,
  { topic, format }: Extract<OperatorPlan, { kind: 'repartition' }>,
): SourcePlan {
  return {
    ...source,
    topic,
    origin: source.topic,
    format,
    shape: 'single',
    keyField: undefined,
    eventTime: { kind: 'carried' },
    closeOnIdle: undefined,
    schemaFn: undefined,
  }
}
