// The producing client: plain or transactional, one call at a time, in the states that librdkafka's producer has.
// Main thread.
// Keeps SPEC: KAFKA-2 (offsets ride in the transaction), KAFKA-3 (murmur2), KAFKA-4 (fencing by transactional id).

import { within } from '../../core/clock.ts'
import { decodeHeaders, FrameView } from '../../core/frame.ts'
import { partitionOfKey } from '../../core/murmur2.ts'
import {
  type DeliveryFailure,
  type GroupMetadata,
  KafkaError,
  type KafkaFailure,
  type Producer,
  type ProducerOptions,
  type TopicPartitionOffset,
} from '../port.ts'
import type { Broker, Topic } from './broker.ts'
import { failure, kafkaError } from './failure.ts'
import type { FaultCall, FaultGate } from './faults.ts'
import { MemoryGroupMetadata } from './group-consumer.ts'
import { batchBytes, batchBytesAtMost, type NewRecord } from './partition-log.ts'
import type { TransactionCoordinator } from './transaction-coordinator.ts'

/*
 * plain      no transactional id: produce and flush only
 * new        initTransactions is missing     ready   between transactions
 * open       begin was called                failed  only abort is allowed
 */
type ProducerState = 'plain' | 'new' | 'ready' | 'open' | 'failed'

const CLOSE_LIMIT_MS = 5_000

export class MemoryProducer implements Producer {
  readonly #broker: Broker
  readonly #gate: FaultGate
  readonly #coordinator: TransactionCoordinator
  readonly #id: string
  readonly #timeoutMs: number
  #state: ProducerState
  #producerEpoch = -1
  #fatal: KafkaFailure | undefined
  #isClosed = false
  #failures: DeliveryFailure[] = []
  /** First delivery that failed since the last flush or transaction. */
  #undelivered: DeliveryFailure | undefined
  /** The last call: calls run one after the other. */
  #tail: Promise<unknown> = Promise.resolve()
  /** Stands in for the random choice of a partition, so that runs repeat. */
  #roundRobin = 0

  constructor(broker: Broker, gate: FaultGate, coordinator: TransactionCoordinator, options: ProducerOptions) {
    this.#broker = broker
    this.#gate = gate
    this.#coordinator = coordinator
    this.#id = options.transactionalId ?? 'producer'
    this.#timeoutMs = options.transactionTimeoutMs ?? 10_000
    this.#state = options.transactionalId === undefined ? 'plain' : 'new'
  }

  initTransactions(timeoutMs: number): Promise<void> {
    return this.#run('initTransactions', async () => {
      this.#require('new')
      this.#producerEpoch = await this.#coordinator.init(this.#id, this.#timeoutMs, timeoutMs)
      this.#state = 'ready'
    })
  }

  begin(): Promise<void> {
    return this.#run('begin', () => {
      this.#require('ready')
      this.#undelivered = undefined
      this.#state = 'open'
    })
  }

  produce(frame: ArrayBuffer, topics: readonly string[]): Promise<void> {
    return this.#run('produce', async () => {
      if (this.#state !== 'plain') {
        this.#require('open')
        await this.#coordinator.awaitMarkers(this.#id, this.#timeoutMs)
      }
      this.#append(new FrameView(frame), topics)
      this.#broker.bell.ring()
    })
  }

  flush(_timeoutMs: number): Promise<void> {
    return this.#run('flush', () => {
      const first = this.#undelivered
      this.#undelivered = undefined
      if (first !== undefined) throw new KafkaError(first)
    })
  }

  failures(): DeliveryFailure[] {
    const failures = this.#failures
    this.#failures = []
    return failures
  }

  sendOffsets(
    offsets: (TopicPartitionOffset & { metadata?: string })[],
    group: GroupMetadata,
    timeoutMs: number,
  ): Promise<void> {
    return this.#run('sendOffsets', async () => {
      this.#require('open')
      if (!(group instanceof MemoryGroupMetadata) || group.isReleased) {
        throw kafkaError('_INVALID_ARG', 'the group metadata is released or of another client')
      }
      await this.#coordinator.awaitMarkers(this.#id, timeoutMs)
      const entry = this.#coordinator.check(this.#id, this.#producerEpoch)
      group.group.checkMember(group.memberId, group.instanceId, group.generation)
      const pending = offsets.map((offset) => ({ ...offset, metadata: offset.metadata ?? '' }))
      this.#coordinator.addOffsets(entry, group.group, pending)
    })
  }

  commit(_timeoutMs: number): Promise<void> {
    return this.#run('commit', () => {
      this.#require('open')
      this.#coordinator.commit(this.#id, this.#producerEpoch)
      this.#state = 'ready'
    })
  }

  abort(_timeoutMs: number): Promise<void> {
    return this.#run('abort', () => {
      if (this.#state !== 'failed') this.#require('open')
      this.#coordinator.abort(this.#id, this.#producerEpoch)
      this.#undelivered = undefined
      this.#state = 'ready'
    })
  }

  /**
   * Like a killed process, closing leaves an open transaction to its time-out or to the next holder of the id. A call that
   * does not come back is not waited for longer than by a real client.
   */
  async close(): Promise<void> {
    this.#isClosed = true
    await within(this.#broker.scheduler, CLOSE_LIMIT_MS, this.#tail)
  }

  #run<T>(call: FaultCall, apply: () => T | Promise<T>): Promise<T> {
    const run = this.#tail.then(() => this.#call(call, apply))
    this.#tail = run.then(
      () => undefined,
      () => undefined, // `run` itself carries the failure to the caller
    )
    return run
  }

  async #call<T>(call: FaultCall, apply: () => T | Promise<T>): Promise<T> {
    if (this.#isClosed) throw kafkaError('_DESTROY', `the producer ${this.#id} is closed`)
    if (this.#fatal !== undefined) throw new KafkaError({ ...this.#fatal, isFatal: true })
    try {
      return await this.#gate.run(call, this.#id, apply)
    } catch (error) {
      if (error instanceof KafkaError) this.#adopt(error.failure)
      throw error
    }
  }

  /** A fatal error ends the producer, one that requires an abort leaves only that. */
  #adopt(reason: KafkaFailure): void {
    if (reason.isFatal) this.#fatal = reason
    else if (reason.requiresAbort && this.#state === 'open') this.#state = 'failed'
  }

  #require(state: ProducerState): void {
    if (this.#state === state) return
    const requiresAbort = this.#state === 'failed'
    throw kafkaError('_STATE', `the producer ${this.#id} is ${this.#state}, not ${state}`, { requiresAbort })
  }

  #append(view: FrameView, topics: readonly string[]): void {
    for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
      const name = topics[view.topicIndex(at)]
      if (name === undefined)
        throw kafkaError('_INVALID_ARG', `the frame names topic ${view.topicIndex(at)} of ${topics.length}`)
      this.#appendOne(view, at, name)
    }
  }

  #appendOne(view: FrameView, at: number, name: string): void {
    const timestampMs = view.timestampMs(at)
    const record: NewRecord = {
      timestampMs: timestampMs < 0 ? this.#broker.clock.wallMs() : timestampMs,
      // Views: whoever produces a frame hands it over.
      key: view.key(at),
      value: view.value(at),
      headers: view.bytes.subarray(view.headersStart(at), view.headersStart(at) + view.headersBytes(at)),
    }
    const topic = this.#broker.find(name)
    if (topic === undefined) {
      this.#fail(failure('UNKNOWN_TOPIC_OR_PART', `no topic ${name}`, { topic: name }), name, -1, record)
      return
    }
    const partition = this.#partitionOf(view.sinkPartition(at), record.key, topic)
    const atMost = batchBytesAtMost(record)
    const isSmall = atMost <= Number(topic.config['max.message.bytes'])
    const bytes = isSmall ? atMost : batchBytes(record, decodeHeaders(record.headers))
    const refusal = this.#broker.refusal(topic, partition, bytes)
    if (refusal === undefined) this.#deliver(topic, partition, record)
    else this.#fail(refusal, name, partition, record)
  }

  #deliver(topic: Topic, partition: number, record: NewRecord): void {
    const log = topic.partitions[partition]!
    if (this.#state === 'plain') log.append(record, undefined)
    else log.append(record, this.#coordinator.span(this.#coordinator.check(this.#id, this.#producerEpoch), log))
  }

  #partitionOf(asked: number, key: Uint8Array | undefined, topic: Topic): number {
    if (asked >= 0) return asked
    const { length } = topic.partitions
    return key === undefined ? this.#roundRobin++ % length : partitionOfKey(key, length)
  }

  /** A delivery that failed for good fails the transaction too. */
  #fail(reason: KafkaFailure, topic: string, partition: number, record: NewRecord): void {
    const isOpen = this.#state === 'open' || this.#state === 'failed'
    const lost = { ...reason, topic, partition, key: record.key, requiresAbort: isOpen, isRetriable: false }
    this.#failures.push(lost)
    this.#undelivered ??= lost
    if (isOpen) this.#state = 'failed'
  }
}
