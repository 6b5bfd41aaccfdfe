// The group consumer: a reader with a membership, whose rebalances are delivered one at a time, at a poll or a turn of
// the scheduler later. Main thread.
// Keeps SPEC: KAFKA-2 (offsets ride in the transaction), KAFKA-5 (a generation begins when all have let go).

import type {
  CommittedOffset,
  GroupConsumer,
  GroupConsumerOptions,
  GroupMetadata,
  KafkaFailure,
  RebalanceListener,
  TopicPartition,
} from '../port.ts'
import { KafkaError } from '../port.ts'
import type { Broker } from './broker.ts'
import { failure, kafkaError } from './failure.ts'
import type { FaultGate } from './faults.ts'
import type { Group, Member, MemberClient } from './group.ts'
import { MemoryReader } from './reader.ts'

/** The membership at the moment it was taken; sendOffsets refuses it once it is released. */
export class MemoryGroupMetadata implements GroupMetadata {
  readonly group: Group
  readonly instanceId: string
  readonly memberId: string
  readonly generation: number
  isReleased = false

  constructor(group: Group, instanceId: string, memberId: string, generation: number) {
    this.group = group
    this.instanceId = instanceId
    this.memberId = memberId
    this.generation = generation
  }
  release(): void {
    this.isReleased = true
  }
}

export class MemoryGroupConsumer extends MemoryReader implements GroupConsumer, MemberClient {
  readonly #group: Group
  readonly #options: GroupConsumerOptions
  readonly #listener: RebalanceListener
  /** Undefined for one that only asks for offsets. */
  #member: Member | undefined
  #memberId = ''
  #generation = -1
  #fatal: KafkaFailure | undefined
  /** Rebalance events that the listener has not seen; at most a revoke and an assign of a few generations. */
  #events: (() => void)[] = []
  #cancelServing: () => void = () => undefined

  constructor(broker: Broker, gate: FaultGate, group: Group, options: GroupConsumerOptions) {
    super(broker, gate, options, options.instanceId || options.groupId)
    this.#group = group
    this.#options = options
    this.#listener = options.listener
    this.#member = options.topics.length === 0 ? undefined : this.#join()
  }

  onAssign(partitions: TopicPartition[], memberId: string, generation: number): void {
    this.#enqueue(() => {
      this.#memberId = memberId
      this.#generation = generation
      this.#listener.onAssign([...partitions])
    })
  }

  onRevoke(partitions: TopicPartition[], isLost: boolean): void {
    this.#enqueue(() => {
      if (isLost) this.#forgetMembership()
      this.#listener.onRevoke([...partitions], isLost)
    })
  }

  onFenced(): void {
    this.#fatal = failure('FENCED_INSTANCE_ID', `another process joined as ${this.#options.instanceId}`)
    this.#events = []
    this.dropAssignment()
    this.broker.bell.ring()
  }

  unassign(): void {
    this.requireOpen()
    this.dropAssignment()
    if (this.#fatal !== undefined || this.#member === undefined) return
    if (this.#group.has(this.#member)) this.#group.letGo(this.#member)
    else {
      this.#forgetMembership()
      this.#member = this.#join()
    }
  }

  committed(partitions: TopicPartition[], timeoutMs: number): Promise<CommittedOffset[]> {
    return this.gate.run('committed', this.name, async () => {
      this.requireOpen()
      const isStable = await this.broker.bell.wait(() => !this.#group.hasPending(partitions), timeoutMs)
      if (!isStable) throw kafkaError('_TIMED_OUT', `offsets of open transactions are pending after ${timeoutMs} ms`)
      return partitions.map((partition) => this.#group.committed(partition))
    })
  }

  leave(_timeoutMs: number): Promise<void> {
    return this.gate.run('leave', this.name, () => {
      this.requireOpen()
      this.#cancelServing()
      this.#events = []
      this.dropAssignment()
      this.#forgetMembership()
      if (this.#member !== undefined) this.#group.leave(this.#member)
    })
  }

  groupMetadata(): GroupMetadata {
    this.requireOpen()
    if (this.#generation < 0 || this.#memberId === '') throw kafkaError('_STATE', 'no member of a generation yet')
    return new MemoryGroupMetadata(this.#group, this.#options.instanceId, this.#memberId, this.#generation)
  }

  override async close(): Promise<void> {
    if (this.isClosed) return
    this.#cancelServing()
    this.#events = []
    await super.close()
    if (this.#member !== undefined) this.#group.disconnect(this.#member)
  }

  protected override hasNews(): boolean {
    return this.#fatal !== undefined || this.#events.length > 0
  }

  protected override serve(): void {
    if (this.#fatal !== undefined) throw new KafkaError(this.#fatal)
    this.#deliver()
  }

  #join(): Member {
    const settings = this.#options.settings ?? {}
    return this.#group.join({
      instanceId: this.#options.instanceId,
      topics: this.#options.topics,
      sessionMs: Number(settings['session.timeout.ms'] ?? 10_000),
      rebalanceMs: Number(settings['max.poll.interval.ms'] ?? 300_000),
      client: this,
    })
  }

  #enqueue(event: () => void): void {
    if (this.isClosed) return
    this.#events.push(event)
    if (this.#events.length === 1) this.#cancelServing = this.broker.scheduler.after(0, () => this.#deliver())
    this.broker.bell.ring()
  }

  #deliver(): void {
    this.#cancelServing()
    while (this.#events.length > 0) this.#events.shift()!()
  }

  #forgetMembership(): void {
    this.#memberId = ''
    this.#generation = -1
  }
}
