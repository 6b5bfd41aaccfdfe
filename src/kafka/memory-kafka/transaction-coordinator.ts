// The transaction coordinator: transactional ids, their epochs, open transactions and their markers. Main thread.
// Keeps SPEC: KAFKA-2 (offsets ride in the transaction), KAFKA-4 (a new holder of a transactional id fences the old one
// and ends its transaction).

import type { Broker } from './broker.ts'
import { kafkaError } from './failure.ts'
import type { Faults } from './faults.ts'
import type { Group, PendingOffset } from './group.ts'
import type { PartitionLog, Span } from './partition-log.ts'

export interface Transaction {
  readonly spans: Map<PartitionLog, Span>
  readonly groups: Set<Group>
}

/** What the coordinator keeps of a transactional id; a producer holds the epoch that it was given. */
export interface TransactionalId {
  readonly id: string
  producerEpoch: number
  timeoutMs: number
  /** Undefined until the first record or offset after `begin`. */
  transaction: Transaction | undefined
  cancelTimeout: () => void
  /** Markers of ended transactions that are not written yet: nothing new may start before. */
  pendingMarkerCount: number
}

const OFFSETS_TOPIC = '__consumer_offsets'

export class TransactionCoordinator {
  readonly #broker: Broker
  readonly #faults: Faults
  readonly #ids = new Map<string, TransactionalId>()
  #heldMarkers: (() => void)[] = []

  constructor(broker: Broker, faults: Faults) {
    this.#broker = broker
    this.#faults = faults
  }

  /** Ids with a transaction that is not decided yet. */
  openIds(): string[] {
    return [...this.#ids.values()].filter((entry) => entry.transaction !== undefined).map((entry) => entry.id)
  }

  /** Takes the id over: the previous holder's open transaction is aborted, its epoch is fenced. Gives the new epoch. */
  async init(id: string, transactionTimeoutMs: number, waitMs: number): Promise<number> {
    const entry = this.#entry(id)
    this.#end(entry, 'aborted')
    entry.producerEpoch++
    entry.timeoutMs = transactionTimeoutMs
    const producerEpoch = entry.producerEpoch
    await this.awaitMarkers(id, waitMs)
    return producerEpoch
  }

  /** Brokers answer CONCURRENT_TRANSACTIONS while markers are being written, and clients try again until then. */
  async awaitMarkers(id: string, waitMs: number): Promise<void> {
    const entry = this.#entry(id)
    const isWritten = await this.#broker.bell.wait(() => entry.pendingMarkerCount === 0, waitMs)
    if (!isWritten) throw kafkaError('_TIMED_OUT', `markers of ${id} are still being written after ${waitMs} ms`)
  }

  /** Throws _FENCED when another holder, or a transaction time-out, has moved the epoch on. */
  check(id: string, producerEpoch: number): TransactionalId {
    const entry = this.#entry(id)
    if (entry.producerEpoch === producerEpoch) return entry
    throw kafkaError('_FENCED', `producer epoch ${producerEpoch} of ${id} is fenced by ${entry.producerEpoch}`)
  }

  /** The span of the id's open transaction in a partition; starts the transaction and the span where needed. */
  span(entry: TransactionalId, log: PartitionLog): Span {
    const transaction = this.#open(entry)
    let span = transaction.spans.get(log)
    if (span === undefined) {
      span = log.beginSpan()
      transaction.spans.set(log, span)
    }
    return span
  }

  addOffsets(entry: TransactionalId, group: Group, offsets: PendingOffset[]): void {
    const transaction = this.#open(entry)
    transaction.groups.add(group)
    group.addPending(transaction, offsets)
  }

  commit(id: string, producerEpoch: number): void {
    this.#end(this.check(id, producerEpoch), 'committed')
  }

  abort(id: string, producerEpoch: number): void {
    this.#end(this.check(id, producerEpoch), 'aborted')
  }

  /** Writes the markers that `faults.holdMarkers` held back, in their order. */
  releaseMarkers(): void {
    const held = this.#heldMarkers
    this.#heldMarkers = []
    for (const write of held) write()
    this.#broker.bell.ring()
  }

  #entry(id: string): TransactionalId {
    let entry = this.#ids.get(id)
    if (entry === undefined) {
      entry = {
        id,
        producerEpoch: -1,
        timeoutMs: 0,
        transaction: undefined,
        cancelTimeout: () => undefined,
        pendingMarkerCount: 0,
      }
      this.#ids.set(id, entry)
    }
    return entry
  }

  #open(entry: TransactionalId): Transaction {
    if (entry.transaction === undefined) {
      entry.transaction = { spans: new Map(), groups: new Set() }
      entry.cancelTimeout = this.#broker.scheduler.after(entry.timeoutMs, () => this.#timeOut(entry))
    }
    return entry.transaction
  }

  /** An open transaction over its time is aborted and its producer is fenced. */
  #timeOut(entry: TransactionalId): void {
    this.#end(entry, 'aborted')
    entry.producerEpoch++
  }

  #end(entry: TransactionalId, outcome: 'committed' | 'aborted'): void {
    const transaction = entry.transaction
    if (transaction === undefined) return
    entry.transaction = undefined
    entry.cancelTimeout()
    for (const [log, span] of transaction.spans) {
      const write = (): void => log.endSpan(span, outcome, this.#broker.clock.wallMs())
      this.#writeMarker(entry, log.topic, log.partition, write)
    }
    for (const group of transaction.groups) {
      this.#writeMarker(entry, OFFSETS_TOPIC, 0, () => group.endPending(transaction, outcome))
    }
    this.#broker.bell.ring()
  }

  #writeMarker(entry: TransactionalId, topic: string, partition: number, write: () => void): void {
    if (this.#faults.holdMarkers?.(topic, partition) !== true) {
      write()
      return
    }
    entry.pendingMarkerCount++
    this.#heldMarkers.push(() => {
      entry.pendingMarkerCount--
      write()
    })
  }
}
