// The fields that a chain reads from the bytes of its records: those used before a function makes new ones. Runs on a lane.
// Keeps SPEC: PATH-1 (the plan says what is read).

import { aggregateFields } from '../job/paths.ts'
import type { StreamPlan } from '../job/plan.ts'
import type { MeetingPlan } from '../job/topology.ts'

/** `next`: the operator where the records meet those of another stream as the left ones. */
export function sourceFields({ source, operators }: StreamPlan, next?: MeetingPlan): string[] {
  const fields = new Set<string>()
  if (source.eventTime.kind === 'field') fields.add(source.eventTime.field)
  if (source.keyField !== undefined) fields.add(source.keyField)
  for (const operator of operators) {
    switch (operator.kind) {
      case 'filter':
      case 'map':
        for (const name of operator.fields ?? []) fields.add(name)
        break
      case 'aggregate':
        for (const name of operator.aggregates.flatMap(aggregateFields)) fields.add(name)
        break
      case 'repartition':
      case 'dedup':
        fields.add(operator.field)
        break
      case 'globalJoin':
        fields.add(operator.on)
        break
    }
    if (MAKES_RECORDS.has(operator.kind)) return [...fields]
  }
  if (next?.kind === 'join') {
    for (const { field } of [next.before, next.after]) if (field !== undefined) fields.add(field)
  }
  return [...fields]
}

const MAKES_RECORDS: ReadonlySet<string> = new Set(['map', 'flatMap', 'aggregate', 'globalJoin'])
