// Readers and group consumers on node-rdkafka. Main thread. What blocks is behind ConsumerDriver, which has an addon and
// a plain form; assignment, pausing and rebalances are here, the same for both.
// Keeps SPEC: KAFKA-1 (read committed only), KAFKA-6 (a poll never returns records from before an assign).
import { setTimeout } from 'node:timers/promises'
import { MillraceError } from '../../core/errors.ts'
import { untilLed } from '../leader-wait.ts'
import {
  type CommittedOffset,
  type GroupConsumer,
  type GroupConsumerOptions,
  type GroupMetadata,
  KafkaError,
  type KafkaFailure,
  type PollLimits,
  type PollResult,
  partitionKey,
  type RebalanceListener,
  type TimeOffset,
  type TopicPartition,
  type TopicPartitionOffset,
  type TopicPartitionTime,
} from '../port.ts'
import type { ClientLife } from './client-life.ts'
import { failureOf, type RdkafkaError, stateError } from './failure.ts'
import type { RdConsumer, RdTopicPartition } from './node-rdkafka.ts'

/** The calls of a consumer that block, and those that node-rdkafka lacks. */
export interface ConsumerDriver {
  poll(limits: PollLimits): Promise<PollResult>
  /** Frees the memory of a frame that nobody reads any more. */
  recycle(frame: ArrayBuffer): void
  /** Of partitions that were just paused: where they go on, since they have been read to these ends. */
  keepPlaces(ends: TopicPartitionOffset[]): void
  /** Ends a poll that waits. */
  wake(): void
  committed(partitions: TopicPartition[], timeoutMs: number): Promise<CommittedOffset[]>
  watermarks(partition: TopicPartition, timeoutMs: number): Promise<{ low: number; high: number }>
  offsetsForTimes(times: TopicPartitionTime[], timeoutMs: number): Promise<TimeOffset[]>
  groupMetadata(): GroupMetadata
  isAssignmentLost(): boolean
  close(): Promise<void>
}

const ASSIGN_PARTITIONS = -175
const REVOKE_PARTITIONS = -174
/** How often it is looked whether the group was left. */
const LEAVE_POLL_MS = 5
/** Without the addon: what a close spends on leaving its group. */
const LEAVE_FIRST_MS = 1_000

export class RdKafkaConsumer implements GroupConsumer {
  readonly #life: ClientLife<RdConsumer>
  readonly #driver: ConsumerDriver
  #isPolling = false
  #isSubscribed = false
  #isLeaving = false
  /** It has no subscription any more: what is still told of the group wants no answer. */
  #hasLeft = false
  /** A rebalance was told and not answered yet; librdkafka waits for that. */
  #owesAnswer = false
  /** An assign or unassign came while a poll was out: what that poll brings is of the past. */
  #isPollStale = false
  /** Changes that wait for the poll that is out: librdkafka must not move positions under a batch. A few at most. */
  #changes: (() => void)[] = []
  /** Where partitions stand that were read to their end since; by name. */
  readonly #ends = new Map<string, TopicPartitionOffset>()
  #rebalanceFailure: KafkaFailure | undefined
  /** What is paused: librdkafka would keep it so over an assign, where nobody resumes it. By topic and partition. */
  readonly #paused = new Map<string, TopicPartition>()

  constructor(life: ClientLife<RdConsumer>, driver: ConsumerDriver) {
    this.#life = life
    this.#driver = driver
  }

  /** Joins the group; `listener` is told of assignments from polls on. */
  subscribe(topics: string[]): void {
    this.#isSubscribed = true
    this.#life.client.subscribe(topics)
  }

  /** What node-rdkafka calls on a rebalance, on the main thread. */
  onRebalance(error: RdkafkaError | undefined, assignment: RdTopicPartition[], listener: RebalanceListener): void {
    if (this.#hasLeft) return
    this.#owesAnswer = true
    const partitions = assignment.map(({ topic, partition }) => ({ topic, partition }))
    if (this.#isLeaving || this.#life.isClosing) this.#letGo()
    else if (error?.code === ASSIGN_PARTITIONS) this.#tellAssigned(partitions, listener)
    else if (error?.code === REVOKE_PARTITIONS) listener.onRevoke(partitions, this.#driver.isAssignmentLost())
    else {
      // The rebalance itself failed: librdkafka waits for an answer all the same.
      this.#unassign()
      if (error !== undefined) this.#rebalanceFailure = failureOf(error)
    }
  }

  #unassign(): void {
    this.#owesAnswer = false
    this.#life.client.unassign()
  }

  /** The answer of a consumer that goes. Told after its disconnect, nobody waits for one, and node-rdkafka throws. */
  #letGo(): void {
    try {
      this.#unassign()
    } catch (error) {
      if (!this.#life.isClosing) throw error
    }
  }

  /**
   * The membership may be gone again by the time the assignment is told (the listener asks for it): then librdkafka gets
   * its answer, and the group assigns anew. Nothing may be thrown into node-rdkafka, which would end the process.
   */
  #tellAssigned(partitions: TopicPartition[], listener: RebalanceListener): void {
    try {
      listener.onAssign(partitions)
    } catch (error) {
      this.#unassign()
      this.#rebalanceFailure = error instanceof KafkaError ? error.failure : failureOf(error as RdkafkaError)
    }
  }

  assign(partitions: TopicPartitionOffset[]): void {
    this.#change(() => {
      this.#resumePaused()
      this.#owesAnswer = false
      this.#life.client.assign(partitions)
    }, true)
  }
  unassign(): void {
    this.#change(() => {
      this.#resumePaused()
      this.#unassign()
    }, true)
  }
  pause(partitions: TopicPartition[]): void {
    this.#change(() => {
      for (const one of partitions) this.#paused.set(partitionKey(one), one)
      this.#life.client.pause(partitions)
      const ends = partitions.map((one) => this.#ends.get(partitionKey(one))).filter((end) => end !== undefined)
      if (ends.length > 0) this.#driver.keepPlaces(ends)
    }, false)
  }
  resume(partitions: TopicPartition[]): void {
    this.#change(() => {
      for (const one of partitions) this.#paused.delete(partitionKey(one))
      this.#life.client.resume(partitions)
    }, false)
  }

  async poll(limits: PollLimits): Promise<PollResult> {
    this.#life.requireOpen()
    if (this.#isPolling) throw stateError('one poll at a time')
    this.#isPolling = true
    this.#isPollStale = false
    try {
      const result = await this.#driver.poll(limits)
      if (!this.#isPollStale) this.#noteEnds(result)
      return this.#withErrors(this.#isPollStale ? { ...result, batches: [], ends: [] } : result)
    } finally {
      this.#isPolling = false
      this.#applyChanges()
    }
  }

  recycle(frame: ArrayBuffer): void {
    this.#driver.recycle(frame)
  }

  committed(partitions: TopicPartition[], timeoutMs: number): Promise<CommittedOffset[]> {
    return this.#driver.committed(partitions, timeoutMs)
  }
  watermarks(partition: TopicPartition, timeoutMs: number): Promise<{ low: number; high: number }> {
    return untilLed((leftMs) => this.#driver.watermarks(partition, leftMs), timeoutMs)
  }
  offsetsForTimes(times: TopicPartitionTime[], timeoutMs: number): Promise<TimeOffset[]> {
    return this.#driver.offsetsForTimes(times, timeoutMs)
  }
  groupMetadata(): GroupMetadata {
    this.#life.requireOpen()
    return this.#driver.groupMetadata()
  }

  /**
   * librdkafka's close keeps a static member in its group, its unsubscribe does not: it tells the coordinator as soon as
   * nothing is assigned. The rebalance that it wants for that is answered in `onRebalance`, from a poll.
   */
  async leave(timeoutMs: number): Promise<void> {
    const untilMs = performance.now() + timeoutMs
    this.#isLeaving = true
    this.#change(() => {
      this.#life.client.unsubscribe()
      this.#unassign()
      this.#hasLeft = true
    }, true)
    while (this.#isMember() && performance.now() < untilMs) {
      if (this.#isPolling) await setTimeout(LEAVE_POLL_MS)
      else await this.poll({ recordsMax: 1, bytesMax: 1, waitMs: LEAVE_POLL_MS })
    }
  }

  /** librdkafka forgets its member id when it tells the coordinator that it leaves. */
  #isMember(): boolean {
    try {
      this.#driver.groupMetadata().release()
      return true
    } catch (error) {
      if (error instanceof KafkaError && error.failure.name === '_STATE') return false
      throw error
    }
  }

  async close(): Promise<void> {
    this.#changes = []
    if (this.#life.native === undefined) await this.#leaveFirst()
    const closed = this.#life.close(() => {
      if (this.#owesAnswer) this.#letGo()
    })
    await this.#driver.close()
    await closed
  }

  /**
   * Without the addon a close is node-rdkafka's own, which deletes the handle while the rebalance that it brings is still
   * being answered on this thread. A member that has left gets none; its place is not kept for it then.
   */
  async #leaveFirst(): Promise<void> {
    if (!this.#isSubscribed || this.#hasLeft || this.#life.isClosing) return
    try {
      await this.leave(LEAVE_FIRST_MS)
    } catch (error) {
      // It closes all the same; what its last polls report is of no use to anybody.
      if (!(error instanceof KafkaError || error instanceof MillraceError)) throw error
    }
  }

  #noteEnds({ batches, ends }: PollResult): void {
    for (const end of ends) this.#ends.set(partitionKey(end), end)
    for (const batch of batches) {
      const end = this.#ends.get(partitionKey(batch))
      if (end !== undefined && end.offset < batch.nextOffset) this.#ends.delete(partitionKey(batch))
    }
  }

  #resumePaused(): void {
    this.#ends.clear()
    if (this.#paused.size > 0) this.#life.client.resume([...this.#paused.values()])
    this.#paused.clear()
  }

  #change(apply: () => void, isMove: boolean): void {
    this.#life.requireOpen()
    if (!this.#isPolling) {
      asKafkaError(apply)
      return
    }
    this.#changes.push(apply)
    if (isMove) this.#isPollStale = true
    this.#driver.wake()
  }

  #applyChanges(): void {
    const changes = this.#changes
    this.#changes = []
    if (this.#life.isClosing) return
    for (const apply of changes) asKafkaError(apply)
  }

  #withErrors(result: PollResult): PollResult {
    const errors = [...result.errors, ...this.#life.takeErrors()].filter((failure) => this.#life.concerns(failure))
    if (this.#rebalanceFailure !== undefined) errors.push(this.#rebalanceFailure)
    this.#rebalanceFailure = undefined
    for (const failure of errors) {
      const error = this.#life.errorOf(failure)
      if (failure.isFatal || error instanceof MillraceError) throw error
    }
    return { ...result, errors }
  }
}

/** node-rdkafka throws plain errors from its synchronous calls. */
function asKafkaError(apply: () => void): void {
  try {
    apply()
  } catch (error) {
    throw error instanceof Error ? new KafkaError(failureOf({ message: error.message, code: -1 })) : error
  }
}

export type { GroupConsumerOptions }
