// Resets a job: its input offsets, its state and its views go to another place together, in one transaction. Main thread.
// Keeps SPEC: RESET-1 (all of it or nothing), RESET-2 (never under a running job), RESET-3 (no row survives),
// RESET-5 (a dry run changes nothing).

import type { Clock, Scheduler } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import { readOffsetMetadata } from '../engine/offset-metadata.ts'
import type { EngineLimits } from '../engine/options.ts'
import type { Plan } from '../job/plan.ts'
import { planTopics } from '../job/plan-topics.ts'
import { inputTopics } from '../job/topology.ts'
import {
  type Admin,
  type CommittedOffset,
  type Kafka,
  KafkaError,
  type Reader,
  type TopicPartition,
  type TopicPartitionOffset,
} from '../kafka/port.ts'
import { awaitEmptyGroup, GroupHold, type HoldOptions, namesOf } from './group-hold.ts'
import { ResetTransaction } from './reset-transaction.ts'
import { findPlaces, findTopics, type ResetTopic, type ResetTopics } from './scope.ts'
import { type Swept, sweepPartition } from './sweep.ts'
import type { InputBounds, ResetTarget } from './target.ts'
import { Tombstones } from './tombstones.ts'

/*
 *   describe topics -> wait until the group is empty -> join it alone, with all partitions
 *     -> a producer of the reset's own transactional id: what an earlier reset left open is ended
 *     -> committed offsets, stable: nothing of an older generation is open any more
 *     -> read changelog and views to their ends: last markers, keys that have a row
 *     -> one transaction: offsets, tombstones, new markers -> commit -> leave the group
 *
 * Killed anywhere, all of it or nothing has happened: Kafka ends the transaction one way, and a job that starts meanwhile
 * waits for that end before it believes offsets or changelog. State folders hold an older epoch of the same changelog and
 * read the tombstones when they open, like any other rows that they have missed.
 */
export interface ResetOptions {
  kafka: Kafka
  plan: Plan
  target: ResetTarget
  isDryRun: boolean
  /** Leave the rows of views. */
  keepsViews: boolean
  /** How long members of the group are waited for. */
  waitMs: number
  clock: Clock
  scheduler: Scheduler
  limits: Pick<EngineLimits, 'callMs' | 'connectMs' | 'pollRecordsMax' | 'pollBytesMax'> & { keysBytesMax: number }
  /** Words for people. */
  say: (line: string) => void
  /** True: give up before the commit. */
  isStopped: () => boolean
}

export interface ResetPartition {
  topic: string
  partition: number
  /** Where the job stood; undefined: it never committed. */
  fromOffset: number | undefined
  toOffset: number
  /** Offsets that are read again, or left out. */
  recordsAgain: number
  recordsSkipped: number
  stateRows: number
}

export interface ResetReport {
  /** Epoch of the new markers. In a dry run the one they would have. */
  epoch: number
  partitions: ResetPartition[]
  views: { view: string; topic: string; rows: number }[]
  /** Who is in the job's group (only a dry run gets this far then). */
  members: string[]
}

const MOVED_IS_WHOLE =
  'the state of a job whose records move to another key is of all partitions of its source: reset it to earliest, latest or a time, or name every partition'
const MET_IS_WHOLE =
  'the job reads several topics, whose records meet in its state: reset it to earliest, latest or a time, which are the same place in all of them'

/** Offsets of a transaction that nobody ends are pending until its time-out, which brokers look after every 10 s. */
const STABLE_OFFSETS_MS = 30_000

/**
 * Resets a job, or says what that would do.
 *
 * @throws MillraceError MR3002 (no such place), MR4002, MR4003 (topics), MR4021 (the job runs), MR4022 (it failed: nothing
 *   has changed, or all of it has)
 * @example
 * const { partitions } = await resetJob({ ...rest, target: parseTarget('earliest'), isDryRun: true })
 */
export async function resetJob(options: ResetOptions): Promise<ResetReport> {
  const { kafka, plan } = options
  const opened: { close(): Promise<void> }[] = []
  const keep = <T extends { close(): Promise<void> }>(client: T): T => {
    opened.push(client)
    return client
  }
  try {
    const admin = keep(await kafka.openAdmin())
    const reader = keep(await kafka.openReader({}))
    const topics = await findTopics({ admin, plan, isDryRun: options.isDryRun, timeoutMs: options.limits.connectMs })
    const run = new ResetRun(options, admin, reader, topics, keep)
    return options.isDryRun ? await run.look() : await run.reset()
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    throw new MillraceError('MR4022', { job: plan.job, reason: error.message }, { cause: error })
  } finally {
    for (const client of opened.reverse()) {
      // What the reset came to is told already; a client that cannot be closed changes nothing about it.
      await client.close().catch((error: unknown) => options.say(`closing a client failed: ${String(error)}`))
    }
  }
}

class ResetRun {
  readonly #options: ResetOptions
  readonly #admin: Admin
  readonly #reader: Reader
  readonly #topics: ResetTopics
  readonly #keep: <T extends { close(): Promise<void> }>(client: T) => T
  readonly #tombstones = new Tombstones()

  constructor(
    options: ResetOptions,
    admin: Admin,
    reader: Reader,
    topics: ResetTopics,
    keep: <T extends { close(): Promise<void> }>(client: T) => T,
  ) {
    this.#options = options
    this.#admin = admin
    this.#reader = reader
    this.#topics = topics
    this.#keep = keep
  }

  /** What a reset would do. Joins nothing, writes nothing. */
  async look(): Promise<ResetReport> {
    const { kafka, plan, limits } = this.#options
    const members = await this.#admin.groupMembers(plan.job, limits.callMs)
    const listener = { onAssign: () => {}, onRevoke: () => {} }
    const asking = { groupId: plan.job, instanceId: '', topics: [], listener }
    const consumer = this.#keep(await kafka.openConsumer(asking))
    const committed = await consumer.committed(this.#partitions(), STABLE_OFFSETS_MS)
    return { ...(await this.#survey(committed, undefined)), members: members.map((one) => namesOf([one])) }
  }

  async reset(): Promise<ResetReport> {
    const hold = this.#holdOptions()
    await awaitEmptyGroup(hold)
    const held = this.#keep(await GroupHold.take(hold))
    const { kafka, plan, limits } = this.#options
    const bounds = await this.#changelogRecords()
    const transaction = this.#keep(
      await ResetTransaction.open({ kafka, plan, topics: this.#names(), callMs: limits.callMs, records: bounds }),
    )
    const committed = await held.committed(this.#partitions(), STABLE_OFFSETS_MS)
    const report = await this.#survey(committed, transaction)
    this.#check()
    const places = report.partitions.map(({ topic, partition, toOffset }) => ({ topic, partition, offset: toOffset }))
    const moved = await this.#movedEnds()
    await transaction.commit(held, report.epoch, [...places, ...moved], this.#tombstones.takeAll())
    return { ...report, members: [] }
  }

  /** Reads everything; tombstones gather, and go into the transaction when they are more than fit in memory. */
  async #survey(
    committed: readonly CommittedOffset[],
    transaction: ResetTransaction | undefined,
  ): Promise<Omit<ResetReport, 'members'>> {
    const { plan, target, limits, keepsViews } = this.#options
    const { sources, changelogs, views } = this.#topics
    if (sources.length > 1 && target.kind === 'offsets') throw new MillraceError('MR3002', { reason: MET_IS_WHOLE })
    const inputs: SourceReset[] = []
    for (const { topic, partitionCount } of sources) {
      inputs.push({ topic, ...(await findPlaces(this.#reader, topic, partitionCount, target, limits.callMs)) })
    }
    const main = inputs[0]!
    const isWhole = main.places.size === sources[0]!.partitionCount
    const isMoved = planTopics(plan).repartitions.length > 0
    if (isMoved && !isWhole) throw new MillraceError('MR3002', { reason: MOVED_IS_WHOLE })
    const swept: Swept[] = []
    // Rows of the state of a partition, and its marker, by the topic that its home reads.
    const ofInput = new Map<string, (Swept | undefined)[]>()
    for (const changelog of changelogs) {
      const ofPartition: Swept[] = []
      for (let partition = 0; partition < changelog.partitionCount; partition++) {
        const isInScope = isWhole || main.places.has(partition)
        ofPartition.push(await this.#sweep(changelog, partition, isInScope, transaction))
      }
      swept.push(...ofPartition)
      ofInput.set(inputTopics(plan)[changelog.sub]!, ofPartition)
    }
    const viewRows: ResetReport['views'] = []
    for (const view of views) {
      let rows = 0
      for (let partition = 0; isWhole && !keepsViews && partition < view.partitionCount; partition++) {
        rows += (await this.#sweep(view, partition, true, transaction)).rowCount
      }
      viewRows.push({ view: view.view!, topic: view.name, rows })
    }
    const epochs = [
      ...swept.map((one) => one.epochMax),
      ...committed.map(({ metadata }) => readOffsetMetadata(metadata)?.epoch ?? 0),
    ]
    return {
      epoch: Math.max(0, ...epochs) + 1,
      partitions: inputs.flatMap((input) => this.#moves(input, committed, ofInput)),
      views: viewRows,
    }
  }

  /** Where the partitions of a source go from and to; the rows of state behind a repartition topic are told of the main one's. */
  #moves(
    { topic, bounds, places }: SourceReset,
    committed: readonly CommittedOffset[],
    ofInput: ReadonlyMap<string, readonly (Swept | undefined)[]>,
  ): ResetPartition[] {
    const { sources, changelogs } = this.#topics
    const isMain = topic === sources[0]!.topic
    const own = ofInput.get(topic)
    const rows = own ?? (isMain && changelogs.length > 0 ? [...ofInput.values()][0] : undefined)
    return [...places]
      .sort(([a], [b]) => a - b)
      .map(([partition, toOffset]) => {
        const marker = own?.[partition]?.marker
        const fromOffset = marker?.source === topic ? marker.inputOffset : offsetOf(committed, { topic, partition })
        return movedPartition(topic, bounds[partition]!, fromOffset, toOffset, rows?.[partition]?.rowCount ?? 0)
      })
  }

  async #sweep(
    topic: ResetTopic,
    partition: number,
    isInScope: boolean,
    transaction: ResetTransaction | undefined,
  ): Promise<Swept> {
    const { clock, limits, plan } = this.#options
    const { pollRecordsMax, pollBytesMax, keysBytesMax, callMs } = limits
    const { low, high } = await this.#reader.watermarks({ topic: topic.name, partition }, callMs)
    const index = this.#names().indexOf(topic.name)
    const onLive = async (keys: Iterable<Uint8Array>): Promise<void> => {
      for (const key of keys) {
        if (isInScope && transaction !== undefined) this.#tombstones.add(index, partition, key)
      }
      if (this.#tombstones.bytes > keysBytesMax) await transaction?.produce(this.#tombstones.takeAll())
    }
    const swept = await sweepPartition({
      reader: this.#reader,
      clock,
      topic: topic.name,
      partition,
      low,
      high,
      hasMarkers: topic.kind === 'changelog',
      pollRecordsMax,
      pollBytesMax,
      keysBytesMax,
      onLive,
      check: () => this.#check(),
    })
    if (swept.stalledAt === undefined) return isInScope ? swept : { ...swept, rowCount: 0 }
    const reason = `${topic.name}, partition ${partition} could be read to ${swept.stalledAt} only, not to its end ${high}: a transaction there stays open`
    throw new MillraceError('MR4022', { job: plan.job, reason })
  }

  /** Ends of the repartition topics: what lies in them is of the old state. */
  async #movedEnds(): Promise<TopicPartitionOffset[]> {
    return Promise.all(
      partitionsOf(this.#topics.repartitions).map(async ({ topic, partition }) => {
        const { high } = await this.#reader.watermarks({ topic, partition }, this.#options.limits.callMs)
        return { topic, partition, offset: high }
      }),
    )
  }

  /** Rows to read at most, for the time that the transaction may take. */
  async #changelogRecords(): Promise<number> {
    const { limits } = this.#options
    const { changelogs, views } = this.#topics
    let records = 0
    for (const { name, partitionCount } of [...changelogs, ...views]) {
      for (let partition = 0; partition < partitionCount; partition++) {
        const { low, high } = await this.#reader.watermarks({ topic: name, partition }, limits.callMs)
        records += high - low
      }
    }
    return records
  }

  /** Those of all sources. */
  #partitions(): TopicPartition[] {
    return partitionsOf(this.#topics.sources)
  }

  /** What topic indexes of frames point into. */
  #names(): string[] {
    const { changelogs, views } = this.#topics
    return [...changelogs, ...views].map(({ name }) => name)
  }

  #check(): void {
    const { isStopped, plan } = this.#options
    if (isStopped()) throw new MillraceError('MR4022', { job: plan.job, reason: 'it was interrupted' })
  }

  #holdOptions(): HoldOptions {
    const { kafka, plan, clock, scheduler, waitMs, limits, say } = this.#options
    const { callMs, connectMs } = limits
    const { topic, partitionCount } = this.#topics.sources[0]!
    const admin = this.#admin
    const check = (): void => this.#check()
    return {
      kafka,
      admin,
      clock,
      scheduler,
      job: plan.job,
      topic,
      partitionCount,
      waitMs,
      callMs,
      connectMs,
      say,
      check,
    }
  }
}

function movedPartition(
  topic: string,
  { partition, low, high }: InputBounds,
  fromOffset: number | undefined,
  toOffset: number,
  stateRows: number,
): ResetPartition {
  // A place outside the bounds has nothing to read: retention took it, or the topic was made anew.
  const from = Math.min(Math.max(fromOffset ?? low, low), high)
  return {
    topic,
    partition,
    fromOffset,
    toOffset,
    recordsAgain: Math.max(0, from - toOffset),
    recordsSkipped: Math.max(0, toOffset - from),
    stateRows,
  }
}

/** Places of one source. */
interface SourceReset {
  topic: string
  bounds: InputBounds[]
  places: Map<number, number>
}

function partitionsOf(topics: readonly { topic: string; partitionCount: number }[]): TopicPartition[] {
  return topics.flatMap(({ topic, partitionCount }) =>
    Array.from({ length: partitionCount }, (_, partition) => ({ topic, partition })),
  )
}

function offsetOf(committed: readonly CommittedOffset[], place: TopicPartition): number | undefined {
  return committed.find((one) => one.topic === place.topic && one.partition === place.partition)?.offset
}
