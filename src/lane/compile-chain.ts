// From one chain of a plan to the steps that a lane runs for its records. Done once a lane. Runs on a lane.
// Keeps SPEC: PATH-1 (named fields stay columns until a function makes new records), PLAN-1 (the plan decides, nothing else).

import { Columns } from '../core/columns.ts'
import { MillraceError } from '../core/errors.ts'
import type { LaneLimits } from '../core/message.ts'
import { aggregateFields } from '../job/paths.ts'
import type { CompiledJob, OperatorPlan, PlanTopics, SourcePlan } from '../job/plan.ts'
import type { Chain, MeetingPlan } from '../job/topology.ts'
import type { SlabTable } from '../state/contract.ts'
import type { ChainState, TableLayout } from './chain-state.ts'
import { Chunk } from './chunk.ts'
import { sourceFields } from './compile-fields.ts'
import type { ObjectSource, Step } from './frame-run.ts'
import type { GlobalTables } from './global-tables.ts'
import { jobFunction } from './job-function.ts'
import { Accumulators } from './operators/accumulators.ts'
import { ChangedRows } from './operators/changed-rows.ts'
import { DeadLetters } from './operators/dead-letters.ts'
import { Dedup, dedupTables, ID_EXPECTED } from './operators/dedup.ts'
import type { Derived } from './operators/derived.ts'
import { expectedIn } from './operators/field-needs.ts'
import { FieldFilter, RecordFilter } from './operators/filter.ts'
import { Finish } from './operators/finish.ts'
import { GlobalJoin } from './operators/global-join.ts'
import { HistoryRows } from './operators/history-rows.ts'
import { LateRecords } from './operators/late.ts'
import { FieldMap, FlatMap, RecordMap } from './operators/map.ts'
import type { Meeting } from './operators/meeting.ts'
import { messageBytesMaxOf } from './operators/message-size.ts'
import { ObjectFields } from './operators/object-fields.ts'
import { Process, processTables } from './operators/process.ts'
import { RecordSink } from './operators/record-sink.ts'
import { Repartition } from './operators/repartition.ts'
import { ResultSinks } from './operators/result-sinks.ts'
import type { RecordOrigin } from './operators/source-headers.ts'
import type { StatefulPart } from './operators/stateful-step.ts'
import { TableFunction } from './operators/table-function.ts'
import { TopN, topNTables } from './operators/top-n.ts'
import { ViewKeep, viewKeepTables } from './operators/view-keep.ts'
import { SourceReader } from './source-reader.ts'
import { type Windowing, windowing } from './windowing.ts'

export interface CompileOptions {
  limits: LaneLimits
  /** max.message.bytes by topic index. */
  messageBytesMax: readonly number[]
  /** Partitions by topic index. */
  writtenPartitions: readonly number[]
  /** Wall clock, ms since the epoch: the time of records where that is of processing. */
  nowMs: () => number
  /** `free` decodes every record though the plan needs named fields only: to compare the two paths. Default `planned`. */
  path?: 'planned' | 'free'
  /** The tables that the lane has as a whole. */
  globals: GlobalTables
}

/** What follows a chain: whoever takes its records, or the rows of its aggregate. */
export interface ChainEnd {
  meeting: { of: Meeting; side: 0 | 1 } | undefined
  /** Its number, the records that it makes of rows, and whether it has a filter or a map. */
  rows: { chain: number; derived: Derived; hasFunctions: boolean } | undefined
}

export interface ChainOptions {
  job: CompiledJob
  topics: PlanTopics
  options: CompileOptions
  chain: Chain
  /** Of a chain that begins with records of an operator. */
  derived: Derived | undefined
  /** Source of the records that it begins with; of a derived one, of the main stream. */
  source: SourcePlan
  /** Its records are changes of the rows of a table. */
  isTable: boolean
  /** Name of the operator that makes the records that it begins with. */
  madeBy: string | undefined
  /** The operator where its records meet those of another stream as the left ones. */
  next: MeetingPlan | undefined
  /** Field of the key, where it is known without a keyBy. */
  keyField: string | undefined
}

/** Whoever needs an object that is none yet: records of a derived chain are objects already. */
const MADE_OBJECTS: ObjectSource = {
  objectAt: () => {
    throw new Error('a record that an operator made has no bytes to be read from')
  },
}

/** A chain, ready to run: `compile` once what follows it is known. */
export class CompiledChain {
  /** Of a chain that begins at a topic. */
  readonly reader: SourceReader | undefined
  readonly chunk: Chunk
  readonly objects: ObjectSource
  steps: readonly Step[] = []
  /** In the order in which they do what the clock has made due: views come behind what writes their rows. */
  readonly statefulSteps: StatefulPart[] = []
  /** Of a task. */
  readonly tables: TableLayout[] = []
  /** At its end records move to other partitions. */
  repartition: Repartition | undefined
  /** The clock of its aggregate's rows is at most this far behind its own. */
  rowsDelayMs = 0
  readonly deadLetters: DeadLetters
  /** Where its records are from. */
  readonly origin: RecordOrigin
  readonly #options: ChainOptions
  readonly #isCarried: boolean
  /** How long rows stay, by the name of a view. */
  readonly #keeps = new Map<string, ViewKeep>()
  /** Views that have a row of each key and time. */
  readonly #histories = new Map<string, HistoryRows>()
  /** Names of fields by the index in a dead record's detail: those of the source, then those after a map. */
  readonly #fieldNames: string[]

  constructor(options: ChainOptions) {
    const { job, chain, derived, source, topics } = options
    const { limits, messageBytesMax, path } = options.options
    this.#options = options
    this.#isCarried = derived !== undefined || source.eventTime.kind === 'carried'
    const fields = derived === undefined ? sourceFields({ source, operators: chain.operators }, options.next) : []
    this.#fieldNames = [...fields]
    this.chunk = derived?.chunk ?? new Chunk(fields, this.#isCarried)
    this.reader = derived === undefined ? new SourceReader(job, source, limits, this.chunk, path === 'free') : undefined
    this.objects = this.reader ?? MADE_OBJECTS
    this.origin = { source, madeBy: options.madeBy }
    this.deadLetters = new DeadLetters(job.plan, this.origin, topics, limits, messageBytesMax, {
      fieldOf: (detail) => this.#fieldNames[detail] ?? '',
      expectedOf: (detail) => this.#expectedOf(this.#fieldNames[detail] ?? ''),
    })
  }

  compile(end: ChainEnd): void {
    const isMade = this.#options.derived !== undefined
    for (const operator of this.#options.chain.operators) this.#addKept(operator)
    this.steps = this.#compileFrom(0, this.chunk, isMade, end)
    this.statefulSteps.push(...this.#keeps.values())
    if (this.#options.derived !== undefined) this.#options.derived.steps = this.steps
  }

  /** The steps from operator `from` on, over records of `chunk`; `isChanged`: a function has made them. */
  #compileFrom(from: number, chunk: Chunk, isChanged: boolean, end: ChainEnd): Step[] {
    const { operators } = this.#options.chain
    const steps: Step[] = []
    for (let i = from; i < operators.length; i++) {
      const operator = operators[i]!
      if (operator.kind === 'flatMap') {
        const fn = jobFunction(this.#options.job, operator.fn)
        const rest = (outputs: Chunk): readonly Step[] => this.#compileFrom(i + 1, outputs, true, end)
        steps.push(new FlatMap(fn, this.objects, this.#isCarried, rest))
        return steps
      }
      if (operator.kind === 'dedup') {
        steps.push(...this.#compileDedup(operator, chunk, isChanged))
        continue
      }
      if (operator.kind === 'aggregate') {
        steps.push(...this.#compileAggregate(operator, i, chunk, isChanged, end))
        return [...steps, new Finish(this.deadLetters, undefined)]
      }
      if (operator.kind === 'process') {
        return [...steps, this.#compileProcess(operator, end), new Finish(this.deadLetters, undefined)]
      }
      if (operator.kind === 'topN') {
        return [...steps, this.#compileTopN(operator, end), new Finish(this.deadLetters, undefined)]
      }
      if (operator.kind === 'repartition') {
        this.repartition = this.#compileRepartition(operator, isChanged)
        return [...steps, this.repartition, new Finish(this.deadLetters, undefined)]
      }
      const step = this.#compileOne(operator, isChanged)
      if (step !== undefined) steps.push(step)
      if (
        operator.kind === 'map' ||
        operator.kind === 'globalJoin' ||
        (operator.kind === 'filter' && this.#options.isTable)
      )
        isChanged = true
    }
    const { meeting } = end
    if (meeting !== undefined)
      return [...steps, meeting.of.sides[meeting.side], new Finish(this.deadLetters, undefined)]
    return [...steps, new Finish(this.deadLetters, this.#options.source.outOfOrderMs)]
  }

  #compileOne(operator: OperatorPlan, isChanged: boolean): Step | undefined {
    const { job, topics, options, source, isTable } = this.#options
    switch (operator.kind) {
      case 'filter':
      case 'map': {
        const fn = jobFunction(job, operator.fn)
        if (isTable) return new TableFunction({ kind: operator.kind, fields: operator.fields, fn }, this.objects)
        const { fields } = operator
        if (fields === undefined || isChanged) {
          return operator.kind === 'filter'
            ? new RecordFilter(fn, fields, this.objects)
            : new RecordMap(fn, fields, this.objects)
        }
        const columns = fields.map((name) => this.chunk.columns.fields.indexOf(name))
        return operator.kind === 'filter' ? new FieldFilter(fn, columns) : new FieldMap(fn, columns)
      }
      case 'globalJoin':
        return new GlobalJoin(operator, jobFunction(job, operator.fn), options.globals.of(operator), {
          column: isChanged ? -1 : this.chunk.columns.fields.indexOf(operator.on),
          objects: this.objects,
        })
      case 'to':
      case 'view':
        return new RecordSink(
          job,
          source,
          operator,
          topics,
          options.messageBytesMax,
          this.objects,
          this.#keeps.get(operator.name),
        )
      default:
        // keyBy stays on the key that the source checks; window and late belong to what follows or stands before.
        return undefined
    }
  }

  #compileRepartition(operator: Extract<OperatorPlan, { kind: 'repartition' }>, isChanged: boolean): Repartition {
    const { topics, options, source } = this.#options
    const { messageBytesMax, limits } = options
    const topicIndex = topics.byOperator[operator.name]!
    const column = isChanged ? -1 : this.chunk.columns.fields.indexOf(operator.field)
    return new Repartition({
      operator,
      source,
      topicIndex,
      bytesMax: messageBytesMaxOf(messageBytesMax, topicIndex),
      keyBytesMax: limits.keyBytesMax,
      column,
      detail: column >= 0 ? column : this.#fieldNames.push(operator.field) - 1,
      objects: this.objects,
    })
  }

  #compileDedup(operator: Extract<OperatorPlan, { kind: 'dedup' }>, chunk: Chunk, isChanged: boolean): Step[] {
    const columns = isChanged ? new Columns([operator.field], chunk.capacity) : chunk.columns
    const field = columns.fields.indexOf(operator.field)
    const detail = isChanged ? this.#fieldNames.push(operator.field) - 1 : field
    const tables = dedupTables(operator.name)
    const { withinMs } = operator
    const { outOfOrderMs } = this.#options.source
    const step = new Dedup({ withinMs, outOfOrderMs, columns, field, detail, tables: this.#tablesOf(tables) })
    this.statefulSteps.push(step)
    return isChanged ? [new ObjectFields(columns), step] : [step]
  }

  #addKept(operator: OperatorPlan): void {
    if (operator.kind !== 'view') return
    const { name, keepMs } = operator
    const { topics, options } = this.#options
    const topicIndex = topics.byOperator[name]!
    const history =
      operator.history === undefined
        ? undefined
        : new HistoryRows(operator.history, options.writtenPartitions[topicIndex] ?? 1)
    if (history !== undefined) this.#histories.set(name, history)
    if (keepMs === undefined) return
    const tables = this.#tablesOf(viewKeepTables(name))
    this.#keeps.set(name, new ViewKeep({ keepMs, topicIndex, history, tables }))
  }

  #compileProcess(operator: Extract<OperatorPlan, { kind: 'process' }>, end: ChainEnd): Step {
    const { job, options, source } = this.#options
    const { name, state, onRecord, onTimer, ttlMs } = operator
    const functionOf = (index: number | undefined) => (index === undefined ? undefined : jobFunction(job, index))
    const step = new Process({
      name,
      onRecord: jobFunction(job, onRecord),
      onTimer: functionOf(onTimer),
      state: functionOf(state),
      ttlMs: ttlMs ?? Number.POSITIVE_INFINITY,
      outOfOrderMs: source.outOfOrderMs,
      objects: this.objects,
      deadLetters: this.deadLetters,
      nowMs: options.nowMs,
      next: end.rows!,
      tables: this.#tablesOf(processTables(name, ttlMs !== undefined, onTimer !== undefined)),
    })
    this.statefulSteps.push(step)
    return step
  }

  #compileTopN(plan: Extract<OperatorPlan, { kind: 'topN' }>, end: ChainEnd): Step {
    const { outOfOrderMs } = this.#options.source
    const tables = this.#tablesOf(topNTables(plan))
    const step = new TopN({ plan, outOfOrderMs, objects: this.objects, next: end.rows!, tables })
    this.statefulSteps.push(step)
    return step
  }

  /** Adds tables to those of a task. Gives how to find them there. */
  #tablesOf(layouts: readonly TableLayout[]): (state: ChainState) => SlabTable[] {
    this.tables.push(...layouts)
    return (state) => layouts.map((layout) => state.tables[this.tables.indexOf(layout)]!)
  }

  #compileAggregate(
    operator: Extract<OperatorPlan, { kind: 'aggregate' }>,
    index: number,
    chunk: Chunk,
    isChanged: boolean,
    end: ChainEnd,
  ): Step[] {
    const { job, chain, source } = this.#options
    const before: Step[] = []
    let { columns } = this.chunk
    let fieldOffset = 0
    if (isChanged) {
      columns = new Columns([...new Set(operator.aggregates.flatMap(aggregateFields))], chunk.capacity)
      fieldOffset = this.#fieldNames.length
      this.#fieldNames.push(...columns.fields)
      before.push(new ObjectFields(columns))
    }
    const previous = chain.operators[index - 1]
    const window = previous?.kind === 'window' ? previous.window : undefined
    const kind = windowing(window, operator.gapFill)
    const { timesMs, capacity } = chunk
    const { aggregates, name } = operator
    const accumulators = new Accumulators(job, aggregates, columns, fieldOffset, timesMs, this.objects, kind.isMerged)
    const sinks = this.#resultSinks(operator, index, kind, accumulators, end)
    const changed = new ChangedRows(sinks)
    const { outOfOrderMs } = source
    const step = kind.step({ outOfOrderMs, accumulators, sinks, changed, late: this.#late(index), capacity })
    this.statefulSteps.push(step)
    this.rowsDelayMs = kind.delayMs
    // The rows of the aggregate are in the first table of a chain.
    this.tables.unshift(...kind.tables(name, accumulators.width))
    return [...before, step]
  }

  #resultSinks(
    { name: operator, isReduce }: Extract<OperatorPlan, { kind: 'aggregate' }>,
    index: number,
    { bounds, idBounds, isOrdered, delayMs }: Windowing,
    accumulators: Accumulators,
    end: ChainEnd,
  ): ResultSinks {
    const { job, chain, source, topics, options } = this.#options
    const keyBy = chain.operators.find((candidate) => candidate.kind === 'keyBy')
    const keyField = keyBy?.field ?? this.#options.keyField
    if (keyField === undefined || (!this.#isCarried && source.keyField !== keyField)) {
      const problems = `aggregate ${operator} needs a keyBy on the key that the source declares`
      throw new MillraceError('MR1002', { job: job.plan.job, problems })
    }
    return new ResultSinks({
      job,
      topics,
      messageBytesMax: options.messageBytesMax,
      operator,
      keyField,
      isWindowed: chain.operators[index - 1]?.kind === 'window',
      bounds,
      idBounds,
      after: chain.operators.slice(index + 1),
      closeDelayMs: isOrdered ? delayMs : undefined,
      keeps: this.#keeps,
      histories: this.#histories,
      rows: end.rows === undefined ? undefined : { ...end.rows, isOrdered },
      accumulators,
      isReduce: isReduce === true,
      deadLetters: this.deadLetters,
    })
  }

  /** What is late for the aggregate at `index`. */
  #late(index: number): LateRecords | undefined {
    const { chain, topics, options } = this.#options
    const late = chain.operators.find((operator, at) => at > index && operator.kind === 'late')
    return late === undefined ? undefined : new LateRecords(this.origin, topics, late.name, options.messageBytesMax)
  }

  #expectedOf(field: string): string {
    const { chain, source } = this.#options
    const { operators } = chain
    const isMoved = operators.some((operator) => operator.kind === 'repartition' && operator.field === field)
    if (field === source.keyField || isMoved) return 'string or whole number'
    if (source.eventTime.kind === 'field' && field === source.eventTime.field) return 'number'
    if (operators.some((operator) => operator.kind === 'dedup' && operator.field === field)) return ID_EXPECTED
    const aggregates = operators.flatMap((operator) => (operator.kind === 'aggregate' ? operator.aggregates : []))
    return expectedIn(aggregates, field) ?? 'value'
  }
}
