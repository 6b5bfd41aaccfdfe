// From an operator where two streams meet to what runs it. Done once a lane. Runs on a lane.
// Keeps SPEC: PLAN-1 (the plan decides, nothing else).

import type { CompiledJob, JoinPlan, OperatorPlan, PlanTopics, SourcePlan } from '../job/plan.ts'
import type { MeetingPlan } from '../job/topology.ts'
import type { CompiledChain, CompileOptions } from './compile-chain.ts'
import { jobFunction } from './job-function.ts'
import type { Derived } from './operators/derived.ts'
import { IntervalJoin, type JoinStream } from './operators/interval-join.ts'
import { LateRecords } from './operators/late.ts'
import type { Meeting } from './operators/meeting.ts'
import { Merge } from './operators/merge.ts'

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
  }
}

function compileJoin(options: MeetingOptions, plan: JoinPlan, left: Input, right: Input): Meeting {
  const { job, chain, derived } = options
  const { name, before, after, graceMs, type, fn } = plan
  const columnOf = (field: string | undefined): number =>
    field === undefined ? -1 : left.of.chunk.columns.fields.indexOf(field)
  const stream = ({ of, outOfOrderMs, source, isMade }: Input): JoinStream => ({
    outOfOrderMs,
    objects: of.objects,
    late: lateOf(options, of),
    deadLetters: of.deadLetters,
    isMsgpack: !isMade && source.format === 'msgpack' && source.schemaFn === undefined,
    beforeField: columnOf(before.field),
    afterField: columnOf(after.field),
  })
  return new IntervalJoin({
    name,
    chain,
    derived,
    beforeMs: before.ms,
    afterMs: after.ms,
    graceMs,
    beforeName: before.field,
    afterName: after.field,
    isOuter: [type === 'left' || type === 'outer', type === 'right' || type === 'outer'],
    fn: jobFunction(job, fn),
    streams: [stream(left), stream(right)],
  })
}

function lateOf({ topics, options, after }: MeetingOptions, { origin }: CompiledChain): LateRecords | undefined {
  const late = after.find((operator) => operator.kind === 'late')
  return late === undefined ? undefined : new LateRecords(origin, topics, late.name, options.messageBytesMax)
}
