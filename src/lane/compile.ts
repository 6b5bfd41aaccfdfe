// From a job to the pipelines that a lane runs, one a unit: chains of steps, in the order of the records. Done once a lane; all its
// tasks share them. Runs on a lane.
// Keeps SPEC: PLAN-1 (the plan decides, nothing else), R3 (what the clock makes due goes through the chains in their order).

import { MillraceError } from '../core/errors.ts'
import { STATUS_DEAD, STATUS_FILTERED } from '../core/record-status.ts'
import { SourceClocks } from '../core/source-clocks.ts'
import { type CompiledJob, isKeepingState, type SourcePlan } from '../job/plan.ts'
import { planTopics } from '../job/plan-topics.ts'
import { type ChainHead, type SubTopology, topologyOf, type Unit } from '../job/topology.ts'
import { ChainState, type TableLayout } from './chain-state.ts'
import type { Chunk } from './chunk.ts'
import { type ChainEnd, CompiledChain, type CompileOptions } from './compile-chain.ts'
import { compileMeeting, type Input } from './compile-meeting.ts'
import type { FrameRun } from './frame-run.ts'
import { GlobalTables } from './global-tables.ts'
import { nextOperatorId } from './operator-id.ts'
import { Derived } from './operators/derived.ts'
import type { Meeting } from './operators/meeting.ts'
import type { Repartition } from './operators/repartition.ts'
import type { Task } from './task.ts'
import { clockCount, isTable, keyOf, leftOf, makerOf } from './unit-chains.ts'

export type { CompileOptions } from './compile-chain.ts'

type MeetingHead = Extract<ChainHead, { kind: 'meeting' }>

/** Kafka timestamps that an answer carries for the latency statistics, at most. */
const SAMPLES_MAX = 16

/** What the stateful operators of a unit keep in the tables of its home. */
export interface StatefulMeaning {
  name: string
  /** By chain; of a chain with an aggregate, the first is that of its rows. */
  tables: readonly (readonly TableLayout[])[]
}

/** The pipelines of a job: the one of each sub-topology. */
export interface Pipelines {
  ofSub(sub: number): Pipeline | undefined
  /** Each once. */
  all: readonly Pipeline[]
  /** The tables that the lane has as a whole. */
  globals: GlobalTables
}

/**
 * The pipelines of a job, one a unit. Throws MR1002 when the plan and the functions do not belong together.
 *
 * @example
 * const pipeline = compilePipelines(compiledJob, { limits, messageBytesMax: [], nowMs: Date.now }).ofSub(0)
 */
export function compilePipelines(job: CompiledJob, given: Omit<CompileOptions, 'globals'>): Pipelines {
  const { plan, functions } = job
  if (plan.functionCount !== functions.length) {
    const problems = `its plan has ${plan.functionCount} functions, this thread's module ${functions.length}`
    throw new MillraceError('MR1002', { job: plan.job, problems })
  }
  const { units, subs } = topologyOf(plan)
  const globals = new GlobalTables(job, given.limits)
  const options = { ...given, globals }
  const all = units.map((unit) => new Pipeline(job, unit, subs, options))
  return { all, globals, ofSub: (sub) => all[subs[sub]?.unit ?? -1] }
}

/** The operators of a unit, ready to run the frames of its topics. */
export class Pipeline {
  readonly stateful: StatefulMeaning | undefined
  /** Where records move to other partitions, and the chain that they come from. */
  readonly repartitions: readonly { chain: number; of: Repartition }[]
  readonly #unit: Unit
  readonly #subs: readonly SubTopology[]
  readonly #nowMs: () => number
  readonly #chains: readonly CompiledChain[]
  /** What follows each chain. */
  readonly #ends: readonly ChainEnd[]
  readonly #derived: readonly (Derived | undefined)[]
  readonly #meetings: readonly (Meeting | undefined)[]
  /** Chains with an operator that may wait for the wall clock. */
  readonly #withWallTimers: readonly number[]

  constructor(job: CompiledJob, unit: Unit, subs: readonly SubTopology[], options: CompileOptions) {
    const topics = planTopics(job.plan)
    this.#unit = unit
    this.#subs = subs
    this.#nowMs = options.nowMs
    const main = subs[unit.subs[0]!]!.source
    this.#derived = unit.chains.map(({ head }) => (head.kind === 'topic' ? undefined : new Derived()))
    this.#chains = unit.chains.map((chain, number) => {
      const { head } = chain
      const source = head.kind === 'topic' ? head.source : main
      const own = {
        source,
        derived: this.#derived[number],
        madeBy: makerOf(unit, chain),
        keyField: keyOf(unit, number),
        next: leftOf(unit, number),
        isTable: isTable(unit, number),
      }
      return new CompiledChain({ job, topics, options, chain, ...own })
    })
    this.#meetings = unit.chains.map(({ head, operators }, number) => {
      if (head.kind !== 'meeting') return undefined
      const inputs = head.inputs.map((input) => this.#inputOf(input, main))
      const derived = this.#derived[number]!
      return compileMeeting({
        job,
        topics,
        options,
        operator: head.operator,
        chain: number,
        inputs,
        derived,
        after: operators,
      })
    })
    this.#ends = unit.chains.map((_, number) => this.#endOf(number))
    for (const [number, chain] of this.#chains.entries()) chain.compile(this.#ends[number]!)
    this.#withWallTimers = this.#chains.flatMap(({ statefulSteps }, number) =>
      statefulSteps.some((step) => step.wallTimerMs !== undefined) ? [number] : [],
    )
    this.repartitions = this.#chains.flatMap(({ repartition }, chain) =>
      repartition === undefined ? [] : [{ chain, of: repartition }],
    )
    this.stateful = this.#meaning()
  }

  /** Lets go of records on their way: the request that they are of has failed. */
  clear(): void {
    for (const derived of this.#derived) derived?.clear()
  }

  /** The chain states of a task that keeps those of its unit. */
  newChains(taskId: string, partition: number): (ChainState | undefined)[] {
    return this.#unit.chains.map(({ head }, number) => {
      if (this.#isOfTask(number)) return undefined
      return new ChainState(
        taskId,
        partition,
        head.kind === 'meeting' ? new SourceClocks(clockCount(head.operator)) : undefined,
      )
    })
  }

  /** From now on a task and the home of its unit, whose tables are there, belong together: looks at the chains of the task. */
  bind(task: Task, home: Task): void {
    task.home = home
    const number = this.ownChain(task.sub)
    task.tables = home.chainTables[number] ?? []
    if (task === home) {
      for (const [chain, state] of home.chains.entries()) {
        if (state === undefined) continue
        state.home = home
        this.#openChain(chain, state)
      }
    } else home.members.set(task.sub, task)
    this.#openChain(number, task)
  }

  /** Runs the frame of `run.view`, of the topic of `task`, through all chains. */
  process(task: Task, run: FrameRun): void {
    const { chains, source } = this.#subs[task.sub]!
    task.isIdle = false
    const nowMs = source.eventTime.kind === 'processing' ? this.#timeOf(task) : 0
    const runs = chains.map((number) => {
      const { reader, chunk, steps } = this.#chains[number]!
      const state = this.#stateOf(number, task)
      reader!.begin(run.view, state.clocks, nowMs)
      return { reader: reader!, chunk, steps, own: state === run.task ? run : { ...run, task: state } }
    })
    const { chunk: first } = runs[0]!
    // Streams of one topic meet record by record, so that what one makes of a record does not depend on the records behind it.
    const countMax = runs.length > 1 ? 1 : first.capacity
    const { recordCount } = run.view
    const share = (SAMPLES_MAX * countMax) / Math.max(1, recordCount)
    for (let nth = 1, isLeft = true; isLeft; nth++) {
      isLeft = false
      for (const { reader, chunk, steps, own } of runs) {
        if (!reader.fill(countMax)) continue
        isLeft = true
        // What is read for several streams is one record, and as many more as there are streams.
        if (chunk === first) {
          task.tally.counts.in += chunk.count
          // A chunk gives its share of the samples, and a frame of many chunks one of each until there are enough.
          const due = share >= 1 ? share : Math.ceil(share * nth) - Math.ceil(share * (nth - 1))
          sample(chunk, run, Math.min(Math.floor(due), SAMPLES_MAX - run.samplesMs.length))
        } else {
          task.tally.counts.expanded += chunk.count
          leaveDead(chunk)
        }
        for (const step of steps) step.run(chunk, own)
      }
    }
    followClocks(task)
    this.advance(task, run)
  }

  /** A task is waited for again, by the streams that it meets too. */
  awaken(task: Task): void {
    for (const [number, { head }] of this.#unit.chains.entries()) {
      if (!this.#isReached(number, task)) continue
      const state = this.#stateOf(number, task)
      if (head.kind === 'topic') state.isIdle = false
      else if (head.kind === 'rows') state.isIdle = this.#stateOf(head.of, task).isIdle
      else {
        this.#meet(head, state, task)
        state.isIdle = state.clocks!.isIdle
      }
    }
  }

  /** Lets the chains of a task do what its clock has made due, and tells those that follow. */
  advance(task: Task, run: FrameRun): void {
    const { chains } = this.#unit
    if (run.wallMs !== undefined && this.wallTimerMs(task) <= run.wallMs) task.isTouched = true
    for (let number = 0; number < chains.length; number++) {
      const { head } = chains[number]!
      if (!this.#isReached(number, task)) continue
      const state = this.#stateOf(number, task)
      if (head.kind === 'topic') follow(state, task)
      else if (head.kind === 'meeting') this.#advanceMeeting(number, head, task, run)
      else this.#advanceRows(head.of, state, task)
      const own: FrameRun = state === run.task ? run : { ...run, task: state }
      for (const step of this.#chains[number]!.statefulSteps) step.advance(own)
      const { rows } = this.#ends[number]!
      if (rows !== undefined) rows.derived.flush(own, this.#stateOf(rows.chain, task))
    }
  }

  /** The first time of the wall clock that the chains of a task wait for; +Infinity: none. */
  wallTimerMs(task: Task): number {
    let firstMs = Number.POSITIVE_INFINITY
    for (const number of this.#withWallTimers) {
      if (!this.#isReached(number, task)) continue
      const state = this.#stateOf(number, task)
      for (const step of this.#chains[number]!.statefulSteps) {
        firstMs = Math.min(firstMs, step.wallTimerMs?.(state) ?? Number.POSITIVE_INFINITY)
      }
    }
    return firstMs
  }

  #advanceMeeting(number: number, head: MeetingHead, task: Task, run: FrameRun): void {
    const state = this.#stateOf(number, task)
    const meeting = this.#meetings[number]!
    const clocks = state.clocks!
    this.#meet(head, state, task)
    meeting.advance(run, state, clocks.watermarkMs)
    this.#derived[number]!.flush(run, state)
    moveTo(state, clocks.watermarkMs - meeting.delayMs, clocks.isEnded, clocks.isIdle)
  }

  /** Where the streams are that meet, those that the task moves. */
  #meet({ inputs, operator }: MeetingHead, { clocks }: ChainState, task: Task): void {
    inputs.slice(0, clockCount(operator)).forEach((input, side) => {
      if (this.#isOfOther(input, task)) return
      const stream = this.#stateOf(input, task)
      clocks!.set(side, stream.watermarkMs, stream.isIdle)
    })
  }

  /** The rows that were due have gone on with the clock of their own place. */
  #advanceRows(of: number, state: ChainState, task: Task): void {
    const before = this.#stateOf(of, task)
    moveTo(state, before.watermarkMs - this.#chains[of]!.rowsDelayMs, before.isEnded, before.isIdle)
  }

  /** Whose state a chain is in: that of the task itself, or one that the home keeps. */
  #stateOf(number: number, task: Task): ChainState {
    return this.ownChain(task.sub) === number ? task : task.home!.chains[number]!
  }

  /** The state of a chain, where a task keeps it. */
  keptBy(task: Task, chain: number): ChainState | undefined {
    return this.ownChain(task.sub) === chain ? task : task.chains[chain]
  }

  /** The chain that a task itself keeps the state of. */
  ownChain(sub: number): number {
    return this.#subs[sub]!.chains[0]!
  }
  /** What is asked of a task goes through a chain. Rows, and their clock, come with the frames of the task that they are of. */
  #isReached(number: number, task: Task): boolean {
    const { head } = this.#unit.chains[number]!
    if (head.kind === 'topic') return this.#subs[task.sub]!.chains.includes(number)
    return head.kind !== 'rows' || !this.#isOfOther(head.of, task)
  }
  #isOfTask(number: number): boolean {
    return this.#unit.subs.some((sub) => this.ownChain(sub) === number)
  }
  /** Another task keeps it, and moves what follows it. */
  #isOfOther(number: number, task: Task): boolean {
    return this.#isOfTask(number) && this.ownChain(task.sub) !== number
  }

  #openChain(number: number, state: ChainState): void {
    for (const step of this.#chains[number]!.statefulSteps) step.open?.(state)
    // Those of what follows it come first.
    this.#meetings[number]?.open?.(state, state.tables.slice(this.#chains[number]!.tables.length))
  }

  #endOf(number: number): ChainEnd {
    const { next } = this.#unit.chains[number]!
    const nothing: ChainEnd = { meeting: undefined, rows: undefined }
    if (next === undefined) return nothing
    const { head, operators } = this.#unit.chains[next]!
    if (head.kind === 'meeting') {
      return { ...nothing, meeting: { of: this.#meetings[next]!, side: head.inputs[0] === number ? 0 : 1 } }
    }
    const hasFunctions = operators.some(({ kind }) => kind === 'filter' || kind === 'map')
    return { ...nothing, rows: { chain: next, derived: this.#derived[next]!, hasFunctions } }
  }

  /** A stream that meets another one. */
  #inputOf(number: number, main: SourcePlan): Input {
    const { head } = this.#unit.chains[number]!
    const source = head.kind === 'topic' ? head.source : main
    return { of: this.#chains[number]!, isMade: head.kind !== 'topic', source, outOfOrderMs: source.outOfOrderMs }
  }

  #meaning(): StatefulMeaning | undefined {
    if (!this.#unit.isStateful) return undefined
    const names = this.#unit.chains.flatMap(({ head, operators }) => [
      ...(head.kind === 'meeting' && isKeepingState(head.operator) ? [head.operator.name] : []),
      ...operators.flatMap((operator) => (isKeepingState(operator) ? [operator.name] : [])),
    ])
    const tables = this.#chains.map((chain, number) => [...chain.tables, ...(this.#meetings[number]?.tables ?? [])])
    separate(tables.flat())
    return { name: names.join(', '), tables }
  }

  /** The clock, and never before the watermark, which a quiet input has moved on with another clock. */
  #timeOf({ watermarkMs, eventTimeMsMax }: ChainState): number {
    const nowMs = Math.floor(this.#nowMs())
    return Math.max(nowMs, eventTimeMsMax, Number.isFinite(watermarkMs) ? Math.ceil(watermarkMs) : nowMs)
  }
}

/** Markers behind the last record of a frame have moved the clock as well. */
function followClocks(task: Task): void {
  const { clocks } = task
  if (clocks === undefined) return
  task.watermarkMs = Math.max(task.watermarkMs, clocks.watermarkMs)
  task.isEnded = clocks.isEnded
  task.isIdle = clocks.isIdle
}

/** A record that cannot be read is dead in the first stream of its topic, and in no other. */
function leaveDead({ status, count }: Chunk): void {
  for (let row = 0; row < count; row++) if (status[row]! >= STATUS_DEAD) status[row] = STATUS_FILTERED
}

/** Streams of one topic have its clock. */
function follow(state: ChainState, task: Task): void {
  if (state === task) return
  moveTo(state, task.watermarkMs, task.isEnded, task.isIdle)
}

function moveTo(state: ChainState, watermarkMs: number, isEnded: boolean, isIdle: boolean): void {
  if (watermarkMs > state.watermarkMs) state.watermarkMs = watermarkMs
  state.isEnded = isEnded
  state.isIdle = isIdle
}

/** Names may have one hash: a table whose id another one before it has takes the next that is free. */
function separate(tables: readonly TableLayout[]): void {
  const taken = new Set<number>()
  for (const table of tables) {
    while (taken.has(table.operatorId)) table.operatorId = nextOperatorId(table.operatorId)
    taken.add(table.operatorId)
  }
}

/** Takes the Kafka timestamps of up to `count` records of a chunk, evenly spaced. */
function sample(chunk: Chunk, run: FrameRun, count: number): void {
  const taken = Math.min(count, chunk.count)
  for (let i = 0; i < taken; i++) {
    const row = Math.floor((i * chunk.count) / taken)
    run.samplesMs.push(run.view.timestampMs(chunk.at[row]!))
  }
}
