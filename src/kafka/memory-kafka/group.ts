// One consumer group: members, generations, eager range assignment, static membership, offsets with those that ride in
// open transactions. Main thread.
// Keeps SPEC: KAFKA-2 (offsets ride in the transaction), KAFKA-5 (a generation begins when all have let go).

import { type CommittedOffset, type GroupMember, partitionKey, type TopicPartition } from '../port.ts'
import type { Broker } from './broker.ts'
import { kafkaError } from './failure.ts'
import type { Transaction } from './transaction-coordinator.ts'

/** What the group tells a member; deliveries are queued by the client, so none happens inside a call to the group. */
export interface MemberClient {
  onAssign(partitions: TopicPartition[], memberId: string, generation: number): void
  onRevoke(partitions: TopicPartition[], isLost: boolean): void
  /** Another process has joined with the same instance id. */
  onFenced(): void
}

export interface Member {
  memberId: string
  /** Empty: a dynamic member. */
  readonly instanceId: string
  readonly topics: readonly string[]
  readonly sessionMs: number
  readonly rebalanceMs: number
  client: MemberClient
  assigned: TopicPartition[]
  /** It still holds partitions of the generation that is ending. */
  mustLetGo: boolean
  /** False for a static member that closed and may be back before its session ends. */
  isConnected: boolean
  cancelTimer: () => void
}

export interface PendingOffset extends TopicPartition {
  offset: number
  metadata: string
}

export type NewMember = Omit<Member, 'memberId' | 'assigned' | 'mustLetGo' | 'isConnected' | 'cancelTimer'>

export class Group {
  readonly id: string
  generation = 0
  readonly #broker: Broker
  readonly #members = new Map<string, Member>()
  readonly #offsets = new Map<string, PendingOffset>()
  readonly #pending = new Map<Transaction, PendingOffset[]>()
  #isPreparing = false
  #joinedCount = 0

  constructor(id: string, broker: Broker) {
    this.id = id
    this.#broker = broker
  }

  /** Joins; a known static member takes its old place without a rebalance, and its former process is fenced. */
  join(joining: NewMember): Member {
    const memberId = `${joining.instanceId || 'member'}-${++this.#joinedCount}`
    const member: Member = {
      ...joining,
      memberId,
      assigned: [],
      mustLetGo: false,
      isConnected: true,
      cancelTimer: nothing,
    }
    const former = joining.instanceId === '' ? undefined : this.memberOf(joining.instanceId)
    if (former !== undefined) this.#retire(former)
    this.#members.set(memberId, member)
    if (former !== undefined && !this.#isPreparing && sameTopics(former, member)) {
      member.assigned = former.assigned
      member.client.onAssign(member.assigned, memberId, this.generation)
    } else this.#rebalance()
    return member
  }

  /** The client has let go of what was revoked (or of all, on its own account). */
  letGo(member: Member): void {
    if (!member.mustLetGo) return
    member.mustLetGo = false
    member.cancelTimer()
    this.#finishRebalance()
  }

  /** A dynamic member leaves at once; a static one keeps its partitions until its session ends. */
  disconnect(member: Member): void {
    if (!this.has(member)) return
    member.isConnected = false
    if (member.instanceId === '') this.#remove(member)
    else {
      member.cancelTimer()
      member.cancelTimer = this.#broker.scheduler.after(member.sessionMs, () => this.#remove(member))
    }
  }

  /** Ends a member's session while its client lives on: it is told that its partitions are lost. */
  expire(member: Member): void {
    const { assigned } = member
    this.#remove(member)
    if (member.isConnected) member.client.onRevoke(assigned, true)
  }

  /** The member goes on its own account, a static one too. */
  leave(member: Member): void {
    if (this.has(member)) this.#remove(member)
  }

  has(member: Member): boolean {
    return this.#members.get(member.memberId) === member
  }

  /** All members, static ones that closed among them until their session ends. */
  members(): GroupMember[] {
    return [...this.#members.values()].map(({ memberId, instanceId }) => {
      return { memberId, instanceId: instanceId === '' ? undefined : instanceId, host: 'memory' }
    })
  }

  memberOf(instanceId: string): Member | undefined {
    return [...this.#members.values()].find((member) => member.instanceId === instanceId)
  }

  topicsChanged(names: readonly string[]): void {
    const isConcerned = [...this.#members.values()].some((member) => member.topics.some((name) => names.includes(name)))
    if (isConcerned) this.#rebalance()
  }

  /** Throws what a broker answers to offsets from a member that is not, or no longer, of this generation. */
  checkMember(memberId: string, instanceId: string, generation: number): void {
    const more = { requiresAbort: true }
    if (!this.#members.has(memberId)) {
      const holder = instanceId === '' ? undefined : this.memberOf(instanceId)
      if (holder !== undefined) {
        const message = `${instanceId} is held by ${holder.memberId}`
        throw kafkaError('FENCED_INSTANCE_ID', message, { ...more, isFatal: false })
      }
      throw kafkaError('UNKNOWN_MEMBER_ID', `${memberId} is no member of ${this.id}`, more)
    }
    if (generation !== this.generation) {
      throw kafkaError('ILLEGAL_GENERATION', `generation ${generation}, the group is at ${this.generation}`, more)
    }
  }

  addPending(transaction: Transaction, offsets: PendingOffset[]): void {
    this.#pending.set(transaction, [...(this.#pending.get(transaction) ?? []), ...offsets])
  }

  endPending(transaction: Transaction, outcome: 'committed' | 'aborted'): void {
    const offsets = this.#pending.get(transaction) ?? []
    this.#pending.delete(transaction)
    if (outcome === 'committed') for (const offset of offsets) this.#offsets.set(partitionKey(offset), offset)
  }

  /** True when a transaction that is not decided holds an offset of one of the partitions. */
  hasPending(partitions: readonly TopicPartition[]): boolean {
    const keys = new Set(partitions.map(partitionKey))
    return [...this.#pending.values()].some((offsets) => offsets.some((offset) => keys.has(partitionKey(offset))))
  }

  committed({ topic, partition }: TopicPartition): CommittedOffset {
    const stored = this.#offsets.get(partitionKey({ topic, partition }))
    return { topic, partition, offset: stored?.offset, metadata: stored?.metadata ?? '' }
  }

  /** Forgets a committed offset, as retention of offsets does. */
  forget(partition: TopicPartition): void {
    this.#offsets.delete(partitionKey(partition))
  }

  #retire(former: Member): void {
    former.cancelTimer()
    this.#members.delete(former.memberId)
    if (former.isConnected) former.client.onFenced()
  }

  #remove(member: Member): void {
    member.cancelTimer()
    member.mustLetGo = false
    if (this.#members.delete(member.memberId)) this.#rebalance()
  }

  #rebalance(): void {
    if (!this.#isPreparing) {
      this.#isPreparing = true
      for (const member of this.#members.values()) this.#revoke(member)
    }
    this.#finishRebalance()
  }

  #revoke(member: Member): void {
    if (member.assigned.length === 0 && member.isConnected) return
    member.mustLetGo = true
    if (!member.isConnected) return // its session timer removes it
    member.cancelTimer = this.#broker.scheduler.after(member.rebalanceMs, () => this.#remove(member))
    member.client.onRevoke(member.assigned, false)
  }

  #finishRebalance(): void {
    const members = [...this.#members.values()]
    if (!this.#isPreparing || members.some((member) => member.mustLetGo)) return
    this.#isPreparing = false
    this.generation++
    const assignment = rangeAssign(members, (topic) => this.#broker.find(topic)?.partitions.length ?? 0)
    for (const member of members) {
      member.assigned = assignment.get(member) ?? []
      member.client.onAssign(member.assigned, member.memberId, this.generation)
    }
  }
}

function nothing(): void {}

function sameTopics(a: Member, b: Member): boolean {
  return [...a.topics].sort().join() === [...b.topics].sort().join()
}

/** Kafka's range assignor: per topic, members in order of instance id (else member id) take consecutive partitions. */
export function rangeAssign(
  members: readonly Member[],
  partitionCount: (topic: string) => number,
): Map<Member, TopicPartition[]> {
  const order = [...members].sort((a, b) => compareText(a.instanceId || a.memberId, b.instanceId || b.memberId))
  const assignment = new Map(order.map((member) => [member, [] as TopicPartition[]]))
  for (const topic of new Set(order.flatMap((member) => member.topics))) {
    const takers = order.filter((member) => member.topics.includes(topic))
    takers.forEach((member, i) => {
      const count = partitionCount(topic)
      const share = Math.floor(count / takers.length)
      const extra = count % takers.length
      const first = i * share + Math.min(i, extra)
      const end = first + share + (i < extra ? 1 : 0)
      for (let partition = first; partition < end; partition++) assignment.get(member)!.push({ topic, partition })
    })
  }
  return assignment
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
