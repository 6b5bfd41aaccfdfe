// The lane: all tasks of one worker thread. One request in, one answer out; requests take effect in the order they came.
// Runs on a lane.
// Keeps SPEC: LANE-1 (work of an older attempt is dropped), LANE-4 (positions), STATE-1 (rows leave only with a seal).

import { join } from 'node:path'
import { MillraceError } from '../core/errors.ts'
import { FrameView, FrameWriter } from '../core/frame.ts'
import type {
  LaneAnswer,
  LaneProcessed,
  LaneRequest,
  LaneResponse,
  LaneSealed,
  LaneSetup,
  LaneStats,
  RequestOf,
} from '../core/message.ts'
import type { CompiledJob, PlanTopics } from '../job/plan.ts'
import { planHash, stateMeaning } from '../job/plan-hash.ts'
import { planTopics } from '../job/plan-topics.ts'
import { type SubTopology, topologyOf } from '../job/topology.ts'
import { MemoryBudget } from '../state/memory-budget.ts'
import { openStore } from '../state/open-store.ts'
import { checkChangelogSizes } from './changelog-sizes.ts'
import { type ClockRequest, moveClock } from './clock-moves.ts'
import { type CompileOptions, compilePipelines, type Pipeline, type Pipelines } from './compile.ts'
import { dropped } from './dropped-work.ts'
import type { FrameRun } from './frame-run.ts'
import { Restore, restoreBytesMax } from './restore.ts'
import { sealState, tellNext } from './seal.ts'
import { Task } from './task.ts'

/** What a lane takes beside its setup; tests give their own clock. */
export type LaneOptions = Pick<CompileOptions, 'nowMs' | 'path'>

/** A task and its restore, which ends with `ready`. */
interface OpenTask {
  task: Task
  restore: Restore | undefined
}

/**
 * A lane. `handle` starts at once and answers at once to frame, idle, wall, advance, end, seal and committed; it never throws: what went
 * wrong is the answer.
 *
 * @example
 * const lane = new Lane(compiledJob, setup, { nowMs: Date.now })
 * const answer = await lane.handle({ op: 'stats' })
 */
export class Lane {
  readonly #setup: LaneSetup
  readonly #options: LaneOptions
  readonly #job: CompiledJob
  readonly #pipelines: Pipelines
  readonly #topics: PlanTopics
  readonly #planHash: string
  readonly #budget: MemoryBudget
  readonly #tasks = new Map<string, OpenTask>()
  readonly #out = new FrameWriter(1 << 16)
  readonly #changelog = new FrameWriter(1 << 16)

  /** Throws MR1002 when the job's plan and functions do not belong together. */
  constructor(job: CompiledJob, setup: LaneSetup, options: LaneOptions) {
    this.#job = job
    this.#setup = setup
    this.#options = options
    this.#topics = planTopics(job.plan)
    const { limits, messageBytesMax, writtenPartitions } = setup
    this.#pipelines = compilePipelines(job, { limits, messageBytesMax, writtenPartitions, ...options })
    this.#planHash = planHash(job.plan)
    this.#budget = new MemoryBudget(setup.limits.stateMemoryBytesMax)
  }

  handle(request: LaneRequest): LaneAnswer | Promise<LaneAnswer> {
    try {
      const answer = this.#serve(request)
      return answer instanceof Promise ? answer.catch((error: unknown) => this.#failure(error)) : answer
    } catch (error) {
      return this.#failure(error)
    }
  }

  #serve(request: LaneRequest): LaneResponse | Promise<LaneResponse> {
    switch (request.op) {
      case 'open':
        return this.#open(request)
      case 'restore':
        return this.#restore(request)
      case 'ready':
        return this.#ready(request)
      case 'resume':
        return this.#resume(request)
      case 'announce':
        return this.#announce(request)
      case 'frame':
        return this.#frame(request)
      case 'idle':
      case 'wall':
      case 'advance':
      case 'end':
        return this.#moveClock(request)
      case 'seal':
        return this.#seal(request)
      case 'committed':
        return this.#committed(request)
      case 'flush':
        return this.#flush(request)
      case 'close':
        return this.#close(request)
      case 'global':
        return this.#pipelines.globals.take(request)
      case 'stats':
        return this.#stats()
    }
  }

  async #open(request: RequestOf<'open'>): Promise<LaneResponse> {
    const { taskId, sub, partition, attempt } = request
    this.#refuseOlder(request)
    this.#pipelines.globals.checkBegun()
    await this.#drop(taskId)
    const { instanceId, partitionCounts } = this.#setup
    const { topic: source, from, home, isStateful } = this.#subOf(sub)
    const pipeline = this.#pipelineOf(sub)
    const opened = isStateful ? await this.#openStore(request) : undefined
    const task = new Task({
      taskId,
      sub,
      partition,
      attempt,
      instanceId,
      source,
      planHash: this.#planHash,
      store: opened?.store,
      sourcePartitionCount: from === undefined ? undefined : partitionCounts[from],
    })
    if (sub === home) task.chains = pipeline.newChains(taskId, partition)
    const tables = pipeline.stateful?.tables.flat() ?? []
    const restore = opened === undefined ? undefined : new Restore(opened.store, tables, opened.stored.position)
    this.#tasks.set(taskId, { task, restore })
    return { op: 'open', stored: opened?.stored ?? { position: undefined, changelogOffset: 0, wiped: undefined } }
  }

  #openStore(request: RequestOf<'open'>): ReturnType<typeof openStore> {
    const { changelogTopicId, changelogLow, changelogHigh, taskId } = request
    const { stateDir } = this.#setup
    return openStore({
      folder: stateDir === undefined ? undefined : join(stateDir, taskId),
      taskId,
      planHash: this.#planHash,
      changelogTopicId,
      changelogLow,
      changelogHigh,
      nowMs: this.#options.nowMs,
      restoreBytesMax: () => restoreBytesMax(this.#setup.limits, this.#tasks.size),
    })
  }

  #pipelineOf(sub: number): Pipeline {
    return this.#pipelines.ofSub(sub)!
  }

  #subOf(sub: number): SubTopology {
    const found = topologyOf(this.#job.plan).subs[sub]
    if (found === undefined) throw this.#misuse(`the job has no sub-topology ${sub}`)
    return found
  }

  /** The task that keeps the state of a task's unit; it is open whenever the others run. From now on they belong together. */
  #homeOf(task: Task): Task {
    const { home } = this.#subOf(task.sub)
    if (home === task.sub) return task
    const id = `${home}_${task.partition}`
    const found = this.#tasks.get(id)
    if (found === undefined || found.restore !== undefined || !found.task.isStarted) {
      const topics = [home, task.sub].map((sub) => this.#subOf(sub).topic).join(' and ')
      throw new MillraceError('MR4037', { topics, partition: task.partition })
    }
    if (task.home !== found.task) this.#pipelineOf(task.sub).bind(task, found.task)
    return found.task
  }

  async #restore(request: RequestOf<'restore'>): Promise<LaneResponse> {
    this.#refuseOlder(request)
    const { restore } = this.#openTask(request.taskId)
    if (restore === undefined) throw this.#misuse(`task ${request.taskId} takes no changelog rows any more`)
    await restore.take(request.frame)
    const { position, rowCount, byteCount } = restore
    return { op: 'restore', position, rowCount, byteCount }
  }

  async #ready(request: RequestOf<'ready'>): Promise<LaneResponse> {
    this.#refuseOlder(request)
    const open = this.#openTask(request.taskId)
    const { task, restore } = open
    const { position, inputOffset, clock } = request
    if (restore !== undefined) this.#refuseChangedMeaning(restore, task.sub)
    open.restore = undefined
    task.start(position, inputOffset, clock)
    const pipeline = this.#pipelineOf(task.sub)
    if (task.store !== undefined) {
      await task.store.writeRestored(position, this.#setup.limits.unflushedBytesMax)
      task.store.restored(position)
      task.openTables(pipeline.stateful!.tables, this.#budget)
    }
    if (this.#subOf(task.sub).home === task.sub) pipeline.bind(task, task)
    return { op: 'ready' }
  }

  #resume(request: RequestOf<'resume'>): LaneResponse {
    const { task } = this.#openTask(request.taskId)
    if (!task.isStarted || task.isTouched || task.sealedEpochs.length > 0) {
      throw this.#misuse(`task ${request.taskId} is not at rest`)
    }
    task.attempt = Math.max(task.attempt, request.attempt)
    return { op: 'resume' }
  }

  #announce(request: RequestOf<'announce'>): LaneResponse {
    const task = this.#taskFor(request)
    if (task !== undefined) {
      const home = this.#homeOf(task)
      this.#pipelineOf(task.sub).awaken(task)
      for (const chain of [task, home, ...home.chains]) if (chain !== undefined) chain.toldWatermarkMs = Number.NaN
      task.isTouched = true
      home.isTouched = true
    }
    return { op: 'announce' }
  }

  /** Rows under the operator's name while the last marker is of another plan: the name has another meaning now. */
  #refuseChangedMeaning(restore: Restore, sub: number): void {
    const stored = restore.position?.planHash
    if (stored === undefined || stored === this.#planHash || !restore.hasOwnRows) return
    const operator = this.#pipelineOf(sub).stateful?.name ?? ''
    throw new MillraceError('MR1004', { operator, stored: `plan ${stored}`, planned: stateMeaning(this.#job.plan) })
  }

  #frame(request: RequestOf<'frame'>): LaneProcessed {
    const task = this.#taskFor(request)
    if (task === undefined) return dropped(request, request.frame)
    const view = new FrameView(request.frame)
    if (view.recordCount > 0 && view.offset(view.firstAt) < task.inputOffset) {
      throw this.#misuse(`a frame of ${task.taskId} begins before its position ${task.inputOffset}`)
    }
    return this.#process(task, request, view)
  }

  #moveClock(request: ClockRequest): LaneProcessed {
    const task = this.#taskFor(request)
    if (task === undefined) return dropped(request, undefined)
    moveClock(task, request, this.#subOf(task.sub))
    return this.#process(task, request, undefined)
  }

  #process(task: Task, request: RequestOf<'frame'> | ClockRequest, view: FrameView | undefined): LaneProcessed {
    const home = this.#homeOf(task)
    const pipeline = this.#pipelineOf(task.sub)
    task.beginRequest()
    // Without a frame no record is looked at, so no step reads the view.
    const wallMs = request.op === 'wall' ? request.nowMs : undefined
    const run: FrameRun = { task, view: view as FrameView, out: this.#out, samplesMs: [], wallMs }
    if (view === undefined) pipeline.advance(task, run)
    else {
      pipeline.process(task, run)
      task.inputOffset = view.nextOffset
      task.isTouched = true
    }
    if (task.isTouched) home.isTouched = true
    task.endRequest()
    const { samplesMs } = run
    return {
      op: request.op,
      taskId: task.taskId,
      attempt: request.attempt,
      epoch: request.epoch,
      isDropped: false,
      out: this.#out.take(task.partition),
      recycled: view?.buffer,
      frameBytes: view?.buffer.byteLength ?? 0,
      inputOffset: task.inputOffset,
      watermarkMs: task.watermarkMs,
      wallTimerMs: pipeline.wallTimerMs(task),
      counts: task.tally.counts,
      deadResults: task.tally.deadResults,
      lastDead: task.tally.lastDead,
      moved: task.tally.moved,
      sampleTimestampsMs: samplesMs,
      sampleWeight: view === undefined || samplesMs.length === 0 ? 0 : view.recordCount / samplesMs.length,
    }
  }

  #seal(request: RequestOf<'seal'>): LaneSealed {
    const { epoch, attempt } = request
    const tasks: LaneSealed['tasks'] = []
    for (const { task } of this.#tasks.values()) {
      if (!task.isTouched || task.attempt > attempt) continue
      const position = task.position(epoch)
      tasks.push({ taskId: task.taskId, partition: task.partition, position })
      task.isTouched = false
      tellNext(this.#job.plan, this.#pipelineOf(task.sub), task, this.#changelog, this.#setup.partitionCounts)
      if (task.store === undefined) continue
      sealState(task, task.store, position, this.#changelog, this.#topics.changelogs[task.sub]!)
    }
    const out = this.#changelog.take()
    const { names, changelogs } = this.#topics
    checkChangelogSizes(out, changelogs, names, this.#setup.messageBytesMax)
    return { op: 'seal', epoch, attempt, out, tasks }
  }

  #committed(request: RequestOf<'committed'>): LaneResponse {
    for (const { task } of this.#tasks.values()) {
      if (task.attempt > request.attempt) continue
      while (task.sealedEpochs.length > 0 && task.sealedEpochs[0]! <= request.epoch) {
        task.store?.committed(task.sealedEpochs.shift()!)
      }
    }
    return { op: 'committed' }
  }

  async #flush(request: RequestOf<'flush'>): Promise<LaneResponse> {
    const { task } = this.#openTask(request.taskId)
    const isOlder = request.attempt < task.attempt
    if (task.store === undefined || isOlder) return { op: 'flush', taskId: task.taskId, epoch: -1, rowCount: 0 }
    const { epoch, rowCount } = await task.store.flush(request.changelogOffset, request.changelogTopicId)
    // The task may have been closed while its rows were written.
    if (this.#tasks.get(task.taskId)?.task === task) this.#evict(task)
    return { op: 'flush', taskId: task.taskId, epoch, rowCount }
  }

  #evict(task: Task): void {
    if (this.#budget.excessBytes <= 0) return
    // What is beside the rows first: it is looked at less often.
    for (const table of task.allTables.reverse()) table.evict()
    // Rows have moved: which of them changed since the last tick is to be read from the rows.
    for (const chain of [task, ...task.chains, ...task.members.values()])
      if (chain !== undefined) chain.changedRows.length = 0
  }

  async #close(request: RequestOf<'close'>): Promise<LaneResponse> {
    const open = this.#tasks.get(request.taskId)
    if (open !== undefined && request.attempt >= open.task.attempt) await this.#drop(request.taskId)
    return { op: 'close' }
  }

  async #drop(taskId: string): Promise<void> {
    const open = this.#tasks.get(taskId)
    if (open === undefined) return
    this.#tasks.delete(taskId)
    open.task.home?.members.delete(open.task.sub)
    for (const table of open.task.allTables) table.dropAll()
    await open.task.store?.close()
  }

  #stats(): LaneStats {
    const tasks = [...this.#tasks.values()].map(({ task }) => task.stats())
    return { op: 'stats', tasks, heapBytes: process.memoryUsage().heapUsed }
  }

  /** The started task a request is for; undefined when it is gone or the request is of an older attempt. */
  #taskFor(request: { taskId: string; attempt: number }): Task | undefined {
    const task = this.#tasks.get(request.taskId)?.task
    if (task === undefined || request.attempt < task.attempt) return undefined
    if (!task.isStarted) throw this.#misuse(`task ${request.taskId} is not ready`)
    return task
  }

  /** Work of an older attempt that was still on its way must not touch the task of the newer one. */
  #refuseOlder({ taskId, attempt }: { taskId: string; attempt: number }): void {
    const open = this.#tasks.get(taskId)
    if (open === undefined || attempt >= open.task.attempt) return
    throw this.#misuse(`task ${taskId} is of attempt ${open.task.attempt}, not ${attempt}`)
  }

  #openTask(taskId: string): OpenTask {
    const open = this.#tasks.get(taskId)
    if (open === undefined) throw this.#misuse(`task ${taskId} is not open`)
    return open
  }

  #misuse(reason: string): MillraceError {
    return new MillraceError('MR6004', { lane: this.#setup.lane, reason })
  }

  /** The answer to a request that failed; rows and records that it had made already go with it. */
  #failure(error: unknown): LaneAnswer {
    for (const pipeline of this.#pipelines.all) pipeline.clear()
    this.#out.take()
    this.#changelog.take()
    if (error instanceof MillraceError) return { op: 'failed', error: error.toData() }
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { op: 'failed', error: this.#misuse(reason).toData() }
  }
}
