// From an operator where two streams meet to what runs it. Done once a lane. Runs on a lane.
// Keeps SPEC: PLAN-1 (the plan decides, nothing else).

import type {
  CompiledJob,
  JoinPlan,
  OperatorPlan,
  PlanTopics,
  SourcePlan,
  TableJoinPlan,
  TablesJoinPlan,
} from '../job/plan.ts'
import type { MeetingPlan } from '../job/topology.ts'
import type { CompiledChain, CompileOptions } from './compile-chain.ts'
import { jobFunction } from './job-function.ts'
import { AsOfJoin } from './operators/as-of-join.ts'
import type { Derived } from './operators/derived.ts'
import { IntervalJoin, type JoinStream } from './operators/interval-join.ts'
import type { JoinRowsOptions } from './operators/join-rows.ts'
import { LateRecords } from './operators/late.ts'
import type { Meeting } from './operators/meeting.ts'
import { Merge } from './operators/merge.ts'
import { TableJoin } from './operators/table-join.ts'
import type { RowStream } from './operators/table-rows.ts'
import { TablesJoin } from './operators/tables-join.ts'

/** A stream that meets another one. */
export interface Input {
  of: CompiledChain
  /** Its records were made by an operator. */
  isMade: boolean
  source: SourcePlan
  outOfOrderMs: number
}

export interface MeetingOptions {
  job: CompiledJob
  topics: PlanTopics
  options: CompileOptions
  operator: MeetingPlan
  /** Number of the chain behind it. */
  chain: number
  /** Left and right. */
  inputs: readonly Input[]
  /** Records that it makes. */
  derived: Derived
  /** The operators behind it. */
  after: readonly OperatorPlan[]
}

export function compileMeeting(options: MeetingOptions): Meeting {
  const { operator, chain, inputs, derived } = options
  const [left, right] = inputs as [Input, Input]
  switch (operator.kind) {
    case 'merge':
      return new Merge(chain, derived, [left.outOfOrderMs, right.outOfOrderMs], [left.of.objects, right.of.objects])
    case 'join':
      return compileJoin(options, operator, left, right)
    case 'tableJoin':
      return compileTableJoin(options, operator, left, right)
    case 'tablesJoin':
      return new TablesJoin({
        ...joinRows(options, operator, left),
        type: operator.type,
        tables: [rowStream(left), rowStream(right)],
      })
  }
}

function compileTableJoin(options: MeetingOptions, plan: TableJoinPlan, left: Input, right: Input): Meeting {
  const parts = {
    ...joinRows(options, plan, left),
    isLeft: plan.type === 'left',
    stream: rowStream(left),
    table: rowStream(right),
  }
  if (plan.asOf === undefined) return new TableJoin(parts)
  return new AsOfJoin({
    ...parts,
    graceMs: plan.asOf.graceMs,
    late: [lateOf(options, left.of), lateOf(options, right.of)],
  })
}

function joinRows(
  { job, chain, derived }: MeetingOptions,
  { name, fn }: JoinPlan | TableJoinPlan | TablesJoinPlan,
  { of }: Input,
): JoinRowsOptions {
  return { name, chain, derived, fn: jobFunction(job, fn), deadLetters: of.deadLetters }
}

function rowStream({ of, outOfOrderMs, source, isMade }: Input): RowStream {
  const isMsgpack = !isMade && source.format === 'msgpack' && source.schemaFn === undefined
  return { objects: of.objects, outOfOrderMs, isMsgpack }
}

function compileJoin(options: MeetingOptions, plan: JoinPlan, left: Input, right: Input): Meeting {
  const { before, after, graceMs, type } = plan
  const columnOf = (field: string | undefined): number =>
    field === undefined ? -1 : left.of.chunk.columns.fields.indexOf(field)
  const stream = (input: Input): JoinStream => ({
    ...rowStream(input),
    late: lateOf(options, input.of),
    beforeField: columnOf(before.field),
    afterField: columnOf(after.field),
  })
  return new IntervalJoin({
    ...joinRows(options, plan, left),
    beforeMs: before.ms,
    afterMs: after.ms,
    graceMs,
    beforeName: before.field,
    afterName: after.field,
    isOuter: [type === 'left' || type === 'outer', type === 'right' || type === 'outer'],
    streams: [stream(left), stream(right)],
  })
}

function lateOf({ topics, options, after }: MeetingOptions, { origin }: CompiledChain): LateRecords | undefined {
  const [late] = after
  return late?.kind !== 'late' ? undefined : new LateRecords(origin, topics, late.name, options.messageBytesMax)
}
