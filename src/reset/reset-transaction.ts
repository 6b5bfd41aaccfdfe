// The one transaction of a reset: offsets, tombstones and new markers. Main thread.
// Keeps SPEC: RESET-1 (all of it or nothing).

import { noCounts } from '../core/counts.ts'
import { FrameWriter } from '../core/frame.ts'
import type { ChainClock, TaskPosition } from '../core/message.ts'
import { taskIdOf } from '../engine/task-state.ts'
import type { Plan } from '../job/plan.ts'
import { planHash } from '../job/plan-hash.ts'
import { changelogNames, topologyOf } from '../job/topology.ts'
import type { Kafka, Producer, TopicPartitionOffset } from '../kafka/port.ts'
import { encodeMarker } from '../lane/marker.ts'
import { MARKER_KEY } from '../state/keys.ts'
import type { GroupHold } from './group-hold.ts'

export interface ResetTransactionOptions {
  kafka: Kafka
  plan: Plan
  /** What topic indexes point into. */
  topics: readonly string[]
  callMs: number
  /** Records to read, and so tombstones to write, at most. */
  records: number
}

/** What a marker of a reset has in place of the instance that wrote it. */
const RESET_INSTANCE = 'reset'
/** A minute, and 50 us for each record; brokers take 15 minutes at most by default. */
const TIMEOUT_MS_MIN = 60_000
const TIMEOUT_MS_A_RECORD = 0.05
const TIMEOUT_MS_MAX = 900_000
/** Deliveries that are waited for once the client's queue of 64 MB is full. */
const FLUSH_MS = 60_000

const NO_CLOCK: ChainClock = {
  watermarkMs: Number.NEGATIVE_INFINITY,
  eventTimeMsMax: Number.NEGATIVE_INFINITY,
  isEnded: false,
}

export class ResetTransaction {
  readonly #options: ResetTransactionOptions
  readonly #transactionalId: string
  readonly #producer: Producer
  #isOpen = false

  private constructor(options: ResetTransactionOptions, producer: Producer, transactionalId: string) {
    this.#options = options
    this.#producer = producer
    this.#transactionalId = transactionalId
  }

  /** A producer of the reset's own id: what an earlier reset left open is ended by the broker before this resolves. */
  static async open(options: ResetTransactionOptions): Promise<ResetTransaction> {
    const { kafka, plan, callMs, records } = options
    const transactionalId = `${plan.job}-${RESET_INSTANCE}`
    const transactionTimeoutMs = Math.min(TIMEOUT_MS_MAX, TIMEOUT_MS_MIN + Math.ceil(records * TIMEOUT_MS_A_RECORD))
    const producer = await kafka.openProducer({ transactionalId, transactionTimeoutMs })
    try {
      await producer.initTransactions(callMs)
    } catch (error) {
      await producer.close()
      throw error
    }
    return new ResetTransaction(options, producer, transactionalId)
  }

  /** Produces frames early: there are too many to keep them until the commit. */
  async produce(frames: readonly ArrayBuffer[]): Promise<void> {
    await this.#begin()
    for (const frame of frames) await this.#producer.produce(frame, this.#options.topics)
  }

  /** Offsets (with the membership that is held), the rest of the tombstones and the markers, then the commit. */
  async commit(
    hold: GroupHold,
    epoch: number,
    /** Where the tasks go on, of sources and behind repartition topics. */
    places: readonly TopicPartitionOffset[],
    tombstones: readonly ArrayBuffer[],
  ): Promise<void> {
    const { plan, topics, callMs } = this.#options
    await this.#begin()
    const metadata = `epoch=${epoch}`
    const offsets = places.map((place) => ({ ...place, metadata }))
    await this.#producer.sendOffsets(offsets, hold.group, callMs)
    await this.produce(tombstones)
    const markers = markerFrame(plan, topics, epoch, places)
    if (markers !== undefined) await this.produce([markers])
    await this.#producer.flush(FLUSH_MS)
    await this.#producer.commit(callMs)
    this.#isOpen = false
  }

  /**
   * Ends what is still open, as the engine does it: a new producer of the same id makes the broker finish or abort it, so
   * that nobody is held back until its time-out. Without a broker that answers, the time-out does it.
   */
  async close(): Promise<void> {
    await this.#producer.close()
    if (!this.#isOpen) return
    this.#isOpen = false
    const { kafka, callMs } = this.#options
    const successor = await kafka.openProducer({ transactionalId: this.#transactionalId })
    try {
      await successor.initTransactions(callMs)
    } finally {
      await successor.close()
    }
  }

  async #begin(): Promise<void> {
    if (this.#isOpen) return
    // Also when its answer is lost: something may be open then.
    this.#isOpen = true
    await this.#producer.begin()
  }
}

/** The new places of the tasks that keep state: no row, no watermark, no counts. */
function markerFrame(
  plan: Plan,
  topics: readonly string[],
  epoch: number,
  places: readonly TopicPartitionOffset[],
): ArrayBuffer | undefined {
  const writer = new FrameWriter()
  const { subs } = topologyOf(plan)
  const changelogs = changelogNames(plan)
  for (const { topic, partition, offset } of places) {
    const home = subs.findIndex((sub) => sub.topic === topic)
    const changelog = changelogs[home]
    if (changelog === undefined) continue
    const others = subs.flatMap((sub, at) => (sub.home === home && at !== home ? [at] : []))
    const feeds = others.flatMap((at) => {
      const place = places.find((one) => one.topic === subs[at]!.topic && one.partition === partition)
      return place === undefined ? [] : [[at, { inputOffset: place.offset, ...NO_CLOCK }] as const]
    })
    const position: TaskPosition = {
      taskId: taskIdOf(home, partition),
      epoch,
      instanceId: RESET_INSTANCE,
      inputOffset: offset,
      ...NO_CLOCK,
      source: topic,
      planHash: planHash(plan),
      counts: noCounts(),
      ...(feeds.length === 0 ? {} : { feeds: Object.fromEntries(feeds) }),
    }
    writer.append(topics.indexOf(changelog), partition, -1, MARKER_KEY, encodeMarker(position))
  }
  return writer.take()
}
