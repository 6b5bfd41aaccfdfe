// From a job to the steps that a lane runs for each frame. Done once a lane; all its tasks share the steps.
// Runs on a lane.
// Keeps SPEC: PATH-1 (named fields stay columns until a function makes new records), PLAN-1 (the plan decides, nothing else).

import { Columns } from '../core/columns.ts'
import { MillraceError } from '../core/errors.ts'
import type { LaneLimits } from '../core/message.ts'
import { aggregateFields } from '../job/paths.ts'
import { type CompiledJob, type OperatorPlan, type PlanTopics, planTopics } from '../job/plan.ts'
import { subPlans } from '../job/sub-plans.ts'
import type { SlabTable } from '../state/contract.ts'
import { Chunk } from './chunk.ts'
import type { FrameRun, Step } from './frame-run.ts'
import { jobFunction } from './job-function.ts'
import { nextOperatorId } from './operator-id.ts'
import { Accumulators } from './operators/accumulators.ts'
import { ChangedRows } from './operators/changed-rows.ts'
import { DeadLetters } from './operators/dead-letters.ts'
import { Dedup, dedupTables, ID_EXPECTED } from './operators/dedup.ts'
import { expectedIn } from './operators/field-needs.ts'
import { FieldFilter, RecordFilter } from './operators/filter.ts'
import { Finish } from './operators/finish.ts'
import { LateRecords } from './operators/late.ts'
import { FieldMap, FlatMap, RecordMap } from './operators/map.ts'
import { messageBytesMaxOf } from './operators/message-size.ts'
import { ObjectFields } from './operators/object-fields.ts'
import { RecordSink } from './operators/record-sink.ts'
import { Repartition } from './operators/repartition.ts'
import { ResultSinks } from './operators/result-sinks.ts'
import type { StatefulStep } from './operators/stateful-step.ts'
import { SourceReader } from './source-reader.ts'
import type { TableLayout, Task } from './task.ts'
import { type Windowing, windowing } from './windowing.ts'

/** Kafka timestamps that an answer carries for the latency statistics, at most. */
const SAMPLES_MAX = 16

export interface CompileOptions {
  limits: LaneLimits
  /** max.message.bytes by topic index. */
  messageBytesMax: readonly number[]
  /** Wall clock, ms since the epoch: the time of records where that is of processing. */
  nowMs: () => number
  /** `free` decodes every record though the plan needs named fields only: to compare the two paths. Default `planned`. */
  path?: 'planned' | 'free'
}

/** What the stateful operator of a pipeline keeps in the tables of a task. */
export interface StatefulMeaning {
  name: string
  /** The first is that of its rows. */
  tables: readonly TableLayout[]
}

/** A sub-topology of a job, ready to run frames. */
export interface Pipeline {
  /** The topic that its tasks read. */
  source: string
  stateful: StatefulMeaning | undefined
  /** At its end records move to other partitions. */
  repartition: Repartition | undefined
  /** Its input comes from a repartition topic: its tasks have a clock for each source partition. */
  isCarried: boolean
  /** Looks at a task that is about to run: its table and its clock are those of its position. */
  open(task: Task): void
  /** Runs the frame of `run.view` through all steps. */
  process(run: FrameRun): void
  /** Emits what the task's clock has made due. */
  advance(run: FrameRun): void
}

/**
 * The pipelines of a job, one a sub-topology, in order. Throws MR1002 when the plan and the functions do not belong together.
 *
 * @example
 * const [pipeline] = compilePipelines(compiledJob, { limits, messageBytesMax: [], nowMs: Date.now })
 */
export function compilePipelines(job: CompiledJob, options: CompileOptions): Pipeline[] {
  const { plan, functions } = job
  if (plan.functionCount !== functions.length) {
    const problems = `its plan has ${plan.functionCount} functions, this thread's module ${functions.length}`
    throw new MillraceError('MR1002', { job: plan.job, problems })
  }
  const topics = planTopics(plan)
  return subPlans(plan).map((sub) => new JobPipeline({ plan: sub, functions }, topics, options))
}

/** Fields that are read from the bytes: those used before a function makes new records. */
export function sourceFields(job: CompiledJob): string[] {
  const { source, operators } = job.plan
  const fields = new Set<string>()
  if (source.eventTime.kind === 'field') fields.add(source.eventTime.field)
  if (source.keyField !== undefined) fields.add(source.keyField)
  for (const operator of operators) {
    if (operator.kind === 'filter' || operator.kind === 'map')
      for (const name of operator.fields ?? []) fields.add(name)
    if (operator.kind === 'aggregate') for (const name of operator.aggregates.flatMap(aggregateFields)) fields.add(name)
    if (operator.kind === 'repartition' || operator.kind === 'dedup') fields.add(operator.field)
    if (operator.kind === 'map' || operator.kind === 'flatMap' || operator.kind === 'aggregate') break
  }
  return [...fields]
}

class JobPipeline implements Pipeline {
  readonly source: string
  readonly isCarried: boolean
  stateful: StatefulMeaning | undefined
  repartition: Repartition | undefined
  readonly #isProcessing: boolean
  readonly #topics: PlanTopics
  readonly #job: CompiledJob
  readonly #options: CompileOptions
  readonly #reader: SourceReader
  readonly #chunk: Chunk
  readonly #deadLetters: DeadLetters
  readonly #steps: readonly Step[]
  /** Names of fields by the index in a dead record's detail: those of the source, then those after a map. */
  readonly #fieldNames: string[]
  readonly #statefulSteps: StatefulStep[] = []
  readonly #tables: TableLayout[] = []

  constructor(job: CompiledJob, topics: PlanTopics, options: CompileOptions) {
    const { plan } = job
    this.#job = job
    this.#options = options
    this.#topics = topics
    this.source = plan.source.topic
    this.isCarried = plan.source.eventTime.kind === 'carried'
    this.#isProcessing = plan.source.eventTime.kind === 'processing'
    const fields = sourceFields(job)
    this.#fieldNames = [...fields]
    this.#chunk = new Chunk(fields, this.isCarried)
    this.#reader = new SourceReader(job, options.limits, this.#chunk, options.path === 'free')
    this.#deadLetters = new DeadLetters(plan, this.#topics, options.limits, options.messageBytesMax, {
      fieldOf: (detail) => this.#fieldNames[detail] ?? '',
      expectedOf: (detail) => this.#expectedOf(this.#fieldNames[detail] ?? ''),
    })
    this.#steps = this.#compile(0, this.#chunk, false)
    const names = plan.operators.flatMap(({ kind, name }) => (kind === 'aggregate' || kind === 'dedup' ? [name] : []))
    if (names.length > 0) this.stateful = { name: names.join(', '), tables: withOwnIds(this.#tables) }
  }

  process(run: FrameRun): void {
    const { recordCount } = run.view
    // A chunk gives its share of the samples, and a frame of many chunks one of each until there are enough.
    const share = Math.max(1, Math.floor((SAMPLES_MAX * this.#chunk.capacity) / Math.max(1, recordCount)))
    this.#reader.begin(run.view, run.task.clocks, this.#isProcessing ? this.#timeOf(run.task) : 0)
    while (this.#reader.fill()) {
      run.task.requestCounts.in += this.#chunk.count
      sample(this.#chunk, run, Math.min(share, SAMPLES_MAX - run.samplesMs.length))
      for (const step of this.#steps) step.run(this.#chunk, run)
    }
    this.#followClocks(run.task)
    this.advance(run)
  }

  /** The clock, and never before the watermark, which a quiet input has moved on with another clock. */
  #timeOf({ watermarkMs, eventTimeMsMax }: Task): number {
    const nowMs = Math.floor(this.#options.nowMs())
    return Math.max(nowMs, eventTimeMsMax, Number.isFinite(watermarkMs) ? Math.ceil(watermarkMs) : nowMs)
  }

  /** Markers behind the last record of a frame have moved the clock as well. */
  #followClocks(task: Task): void {
    const { clocks } = task
    if (clocks === undefined) return
    task.watermarkMs = Math.max(task.watermarkMs, clocks.watermarkMs)
    task.isEnded = clocks.isEnded
  }

  open(task: Task): void {
    for (const step of this.#statefulSteps) step.open?.(task)
  }

  advance(run: FrameRun): void {
    for (const step of this.#statefulSteps) step.advance(run)
  }

  /** The steps from operator `from` on, over records of `chunk`; `isChanged`: a function has made them. */
  #compile(from: number, chunk: Chunk, isChanged: boolean): Step[] {
    const { operators } = this.#job.plan
    const steps: Step[] = []
    for (let i = from; i < operators.length; i++) {
      const operator = operators[i]!
      if (operator.kind === 'flatMap') {
        const fn = jobFunction(this.#job, operator.fn)
        steps.push(new FlatMap(fn, this.#reader, this.isCarried, (outputs) => this.#compile(i + 1, outputs, true)))
        return steps
      }
      if (operator.kind === 'dedup') {
        steps.push(...this.#compileDedup(operator, chunk, isChanged))
        continue
      }
      if (operator.kind === 'aggregate') {
        steps.push(...this.#compileAggregate(operator, i, chunk, isChanged))
        return [...steps, new Finish(this.#deadLetters, undefined)]
      }
      if (operator.kind === 'repartition') {
        this.repartition = this.#compileRepartition(operator, isChanged)
        return [...steps, this.repartition, new Finish(this.#deadLetters, undefined)]
      }
      const step = this.#compileOne(operator, isChanged)
      if (step !== undefined) steps.push(step)
      if (operator.kind === 'map') isChanged = true
    }
    return [...steps, new Finish(this.#deadLetters, this.#job.plan.source.outOfOrderMs)]
  }

  #compileOne(operator: OperatorPlan, isChanged: boolean): Step | undefined {
    const job = this.#job
    switch (operator.kind) {
      case 'filter':
      case 'map': {
        const fn = jobFunction(job, operator.fn)
        const { fields } = operator
        if (fields === undefined || isChanged) {
          return operator.kind === 'filter'
            ? new RecordFilter(fn, fields, this.#reader)
            : new RecordMap(fn, fields, this.#reader)
        }
        const columns = fields.map((name) => this.#chunk.columns.fields.indexOf(name))
        return operator.kind === 'filter' ? new FieldFilter(fn, columns) : new FieldMap(fn, columns)
      }
      case 'to':
      case 'view':
        return new RecordSink(job, operator, this.#topics, this.#options.messageBytesMax, this.#reader)
      default:
        // keyBy stays on the key that the source checks; window and late belong to the aggregate.
        return undefined
    }
  }

  #compileRepartition(operator: Extract<OperatorPlan, { kind: 'repartition' }>, isChanged: boolean): Repartition {
    const { messageBytesMax, limits } = this.#options
    const topicIndex = this.#topics.repartition
    const column = isChanged ? -1 : this.#chunk.columns.fields.indexOf(operator.field)
    return new Repartition({
      operator,
      source: this.#job.plan.source,
      topicIndex,
      bytesMax: messageBytesMaxOf(messageBytesMax, topicIndex),
      keyBytesMax: limits.keyBytesMax,
      column,
      detail: column >= 0 ? column : this.#fieldNames.push(operator.field) - 1,
      objects: this.#reader,
    })
  }

  #compileDedup(operator: Extract<OperatorPlan, { kind: 'dedup' }>, chunk: Chunk, isChanged: boolean): Step[] {
    const columns = isChanged ? new Columns([operator.field], chunk.capacity) : chunk.columns
    const field = columns.fields.indexOf(operator.field)
    const detail = isChanged ? this.#fieldNames.push(operator.field) - 1 : field
    const tables = dedupTables(operator.name)
    const { withinMs } = operator
    const { outOfOrderMs } = this.#job.plan.source
    const step = new Dedup({ withinMs, outOfOrderMs, columns, field, detail, tables: this.#tablesOf(tables) })
    this.#statefulSteps.push(step)
    return isChanged ? [new ObjectFields(columns), step] : [step]
  }

  /** Adds tables to those of a task. Gives how to find them there. */
  #tablesOf(layouts: readonly TableLayout[]): (task: Task) => SlabTable[] {
    this.#tables.push(...layouts)
    return (task) => layouts.map((layout) => task.tables[this.#tables.indexOf(layout)]!)
  }

  #compileAggregate(
    operator: Extract<OperatorPlan, { kind: 'aggregate' }>,
    index: number,
    chunk: Chunk,
    isChanged: boolean,
  ): Step[] {
    const job = this.#job
    const { operators, source } = job.plan
    const before: Step[] = []
    let columns = this.#chunk.columns
    let fieldOffset = 0
    if (isChanged) {
      columns = new Columns([...new Set(operator.aggregates.flatMap(aggregateFields))], chunk.capacity)
      fieldOffset = this.#fieldNames.length
      this.#fieldNames.push(...columns.fields)
      before.push(new ObjectFields(columns))
    }
    const previous = operators[index - 1]
    const window = previous?.kind === 'window' ? previous.window : undefined
    const kind = windowing(window, operator.gapFill)
    const { timesMs, capacity } = chunk
    const { aggregates, name } = operator
    const objects = this.#reader
    const accumulators = new Accumulators(job, aggregates, columns, fieldOffset, timesMs, objects, kind.isMerged)
    const sinks = this.#resultSinks(name, index, kind, accumulators)
    const changed = new ChangedRows(sinks)
    const { outOfOrderMs } = source
    const step = kind.step({ outOfOrderMs, accumulators, sinks, changed, late: this.#late(), capacity })
    this.#statefulSteps.push(step)
    // The rows of the aggregate are in the first table of a task.
    this.#tables.unshift(...kind.tables(name, accumulators.width))
    return [...before, step]
  }

  #resultSinks(
    operator: string,
    index: number,
    { bounds, idBounds }: Windowing,
    accumulators: Accumulators,
  ): ResultSinks {
    const { plan } = this.#job
    const keyBy = plan.operators.find((candidate) => candidate.kind === 'keyBy')
    if (keyBy === undefined || (!this.isCarried && plan.source.keyField !== keyBy.field)) {
      const problems = `aggregate ${operator} needs a keyBy on the key that the source declares`
      throw new MillraceError('MR1002', { job: plan.job, problems })
    }
    return new ResultSinks({
      job: this.#job,
      topics: this.#topics,
      messageBytesMax: this.#options.messageBytesMax,
      operator,
      keyField: keyBy.field,
      bounds,
      idBounds,
      after: plan.operators.slice(index + 1),
      accumulators,
      deadLetters: this.#deadLetters,
    })
  }

  #late(): LateRecords | undefined {
    const { plan } = this.#job
    const late = plan.operators.find((operator) => operator.kind === 'late')
    return late === undefined
      ? undefined
      : new LateRecords(plan, this.#topics, late.name, this.#options.messageBytesMax)
  }

  #expectedOf(field: string): string {
    const { source, operators } = this.#job.plan
    const isMoved = operators.some((operator) => operator.kind === 'repartition' && operator.field === field)
    if (field === source.keyField || isMoved) return 'string or whole number'
    if (source.eventTime.kind === 'field' && field === source.eventTime.field) return 'number'
    if (operators.some((operator) => operator.kind === 'dedup' && operator.field === field)) return ID_EXPECTED
    const aggregates = operators.flatMap((operator) => (operator.kind === 'aggregate' ? operator.aggregates : []))
    return expectedIn(aggregates, field) ?? 'value'
  }
}

/** Names may have one hash: a table whose id another one before it has takes the next that is free. */
function withOwnIds(tables: readonly TableLayout[]): TableLayout[] {
  const taken = new Set<number>()
  for (const table of tables) {
    while (taken.has(table.operatorId)) table.operatorId = nextOperatorId(table.operatorId)
    taken.add(table.operatorId)
  }
  return [...tables]
}

/** Takes the Kafka timestamps of up to `count` records of a chunk, evenly spaced. */
function sample(chunk: Chunk, run: FrameRun, count: number): void {
  const taken = Math.min(count, chunk.count)
  for (let i = 0; i < taken; i++) {
    const row = Math.floor((i * chunk.count) / taken)
    run.samplesMs.push(run.view.timestampMs(chunk.at[row]!))
  }
}
