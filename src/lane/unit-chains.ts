// What the chains of a unit are to each other: who makes their records, by which key, and how many clocks meet. Runs on a lane.
// Keeps SPEC: PLAN-1 (the plan decides, nothing else).

import type { Chain, MeetingPlan, Unit } from '../job/topology.ts'

/** The operator that makes the records that a chain begins with. */
export function makerOf({ chains }: Unit, { head }: Chain): string | undefined {
  if (head.kind === 'topic') return undefined
  if (head.kind === 'meeting') return head.operator.name
  return chains[head.of]!.operators.findLast(
    ({ kind }) => kind === 'aggregate' || kind === 'process' || kind === 'topN',
  )?.name
}

/** The records of a chain are changes of the rows of a table. */
export function isTable({ chains }: Unit, number: number): boolean {
  const { head } = chains[number]!
  if (head.kind === 'topic') return head.source.isTable === true
  return head.kind === 'meeting' && head.operator.kind === 'tablesJoin'
}

/** The operator where the records of a chain are the left ones. */
export function leftOf({ chains }: Unit, number: number): MeetingPlan | undefined {
  const head = chains[chains[number]!.next ?? -1]?.head
  return head?.kind === 'meeting' && head.inputs[0] === number ? head.operator : undefined
}

/** The field that the records of a chain are keyed by, of one that begins keyed. */
export function keyOf({ chains }: Unit, number: number): string | undefined {
  const { head } = chains[number]!
  if (head.kind === 'topic') return undefined
  if (head.kind === 'meeting' && 'key' in head.operator) return head.operator.key
  const before = head.kind === 'meeting' ? head.inputs[0] : head.of
  const keyBy = chains[before]!.operators.findLast(({ kind }) => kind === 'keyBy')
  return keyBy?.kind === 'keyBy' ? keyBy.field : keyOf({ chains } as Unit, before)
}

/** Streams that an operator waits for: without `asOf`, none waits for a table. */
export function clockCount(operator: MeetingPlan): number {
  return operator.kind === 'tableJoin' && operator.asOf === undefined ? 1 : 2
}
