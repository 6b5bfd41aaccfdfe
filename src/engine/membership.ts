// What the group has told this process: its assignment, a revoke that waits for its answer. Main thread.
// Keeps SPEC: KAFKA-2 (the membership is taken when partitions are assigned), LANE-1 (a lost assignment ends the attempt).

import {
  type GroupConsumer,
  type GroupMetadata,
  partitionKey,
  type RebalanceListener,
  type TopicPartition,
} from '../kafka/port.ts'
import type { EngineLog } from './options.ts'
import { Ownership } from './ownership.ts'

export interface Assignment {
  /** Grows with everything that the group tells. */
  id: number
  partitions: TopicPartition[]
  group: GroupMetadata
  /** By partition (`partitionKey`): since which generation it has been ours without a break. */
  since: ReadonlyMap<string, number>
}

/*
 *   none --assign--> assigned --revoke--> revoking --answered--> none
 *                       ^                     |
 *                       +---- assign ---------+  (a static member that came back is assigned without a revoke)
 */
export interface MembershipOptions {
  log: EngineLog
  /** Something changed: what is under way ends, at once when the partitions are lost. */
  onChange: (isLost: boolean) => void
  /** A partition is gone from this process: the next assignment has it no more, or it was lost. */
  onReleased: (partition: TopicPartition) => void
}

export class Membership implements RebalanceListener {
  readonly #options: MembershipOptions
  readonly #ownership = new Ownership()
  #consumer: GroupConsumer | undefined
  #changeCount = 0
  #isRevoking = false
  #assignment: Assignment | undefined
  #memberIds: string[] = []
  /** What this process had last; released only when it is known that it does not stay. */
  #held: TopicPartition[] = []
  #isLost = false

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  /** The consumer that it listens to; rebalances come from its polls. */
  of(consumer: GroupConsumer): void {
    this.#consumer = consumer
  }

  get assignment(): Assignment | undefined {
    return this.#assignment
  }
  get isRevoking(): boolean {
    return this.#isRevoking
  }
  /** The member ids that this process has had, the latest at the end; a few. */
  get memberIds(): readonly string[] {
    return this.#memberIds
  }
  /** False once the group has told anything newer. */
  isCurrent(assignment: Assignment): boolean {
    return assignment.id === this.#changeCount
  }

  onAssign(partitions: TopicPartition[]): void {
    const group = this.#consumer!.groupMetadata()
    const since = this.#ownership.assigned(group.generation, partitions)
    this.#memberIds = [...this.#memberIds.filter((id) => id !== group.memberId).slice(-MEMBER_IDS_KEPT), group.memberId]
    this.#release((one) => !since.has(partitionKey(one)))
    this.#held = partitions
    this.#assignment = { id: ++this.#changeCount, partitions, group, since }
    const numbers = partitions.map((one) => one.partition)
    this.#options.log.info({ partitions: numbers, generation: group.generation }, 'partitions assigned')
    this.#options.onChange(false)
  }

  onRevoke(partitions: TopicPartition[], isLost: boolean): void {
    this.#options.log.info({ partitions: partitions.map((one) => one.partition), isLost }, 'partitions revoked')
    if (isLost) this.#ownership.lost()
    this.#isLost = isLost
    this.#changeCount++
    this.#isRevoking = true
    this.#options.onChange(isLost)
  }

  /** Answers a revoke, when nothing that was read under it is under way any more. */
  letGo(): void {
    this.#assignment?.group.release()
    this.#assignment = undefined
    this.#isRevoking = false
    if (this.#isLost) this.#release(() => true)
    this.#isLost = false
    this.#consumer!.unassign()
  }

  #release(isGone: (partition: TopicPartition) => boolean): void {
    for (const partition of this.#held) if (isGone(partition)) this.#options.onReleased(partition)
    this.#held = this.#held.filter((partition) => !isGone(partition))
  }
}

/** A process that the group dropped has joined again under another id. */
const MEMBER_IDS_KEPT = 3
