// A group consumer that fetches through several clients: one is the member of the group, the others read its partitions.
// librdkafka has one fetch a broker and client out at a time, and the broker and the client's own threads take turns over
// it; with two clients one is read while the other is unpacked. Main thread.
// Keeps SPEC: KAFKA-6 (a poll never returns records from before an assign), KAFKA-8 (partitions are shared out among the
// clients, none twice).
import {
  type CommittedOffset,
  type GroupConsumer,
  type GroupMetadata,
  type PollLimits,
  type PollResult,
  partitionKey,
  type Reader,
  type TimeOffset,
  type TopicPartition,
  type TopicPartitionOffset,
  type TopicPartitionTime,
} from '../port.ts'

/** A client, the poll of it that is out, and what one brought that nobody has asked for since. */
interface Member {
  client: Reader
  isOut: boolean
  result: PollResult | undefined
  failure: { error: unknown } | undefined
}

/**
 * The member of the group and its fetchers as one consumer. Each client has at most one poll out and one result waiting, so
 * a poll may bring the limits of a poll once for each fetcher.
 *
 * @example
 * const consumer = new FetchGroup(member, [await openReader({}), await openReader({})])
 */
export class FetchGroup implements GroupConsumer {
  readonly #group: GroupConsumer
  readonly #fetchers: readonly Member[]
  readonly #members: readonly Member[]
  /** The fetcher of each partition that is assigned. */
  #fetcherOf = new Map<string, Member>()
  #onResult = () => {}
  #isClosing = false

  constructor(group: GroupConsumer, fetchers: readonly Reader[]) {
    this.#group = group
    this.#fetchers = fetchers.map(memberOf)
    this.#members = [memberOf(group), ...this.#fetchers]
  }

  assign(partitions: TopicPartitionOffset[]): void {
    this.#dropResults()
    const shares = this.#fetchers.map((): TopicPartitionOffset[] => [])
    this.#fetcherOf = new Map()
    partitions.forEach((partition, i) => {
      const fetcher = i % this.#fetchers.length
      shares[fetcher]!.push(partition)
      this.#fetcherOf.set(partitionKey(partition), this.#fetchers[fetcher]!)
    })
    this.#fetchers.forEach(({ client }, i) => {
      client.assign(shares[i]!)
    })
    // The group wants an answer to its assignment; the member itself reads nothing.
    this.#group.assign([])
  }
  unassign(): void {
    this.#dropResults()
    this.#fetcherOf = new Map()
    for (const { client } of this.#fetchers) client.assign([])
    this.#group.unassign()
  }
  pause(partitions: TopicPartition[]): void {
    for (const [client, share] of this.#shares(partitions)) client.pause(share)
  }
  resume(partitions: TopicPartition[]): void {
    for (const [client, share] of this.#shares(partitions)) client.resume(share)
  }

  /** What the first client has; one that has nothing yet goes on waiting and is asked again by the next poll. */
  async poll(limits: PollLimits): Promise<PollResult> {
    for (const member of this.#members) this.#start(member, limits)
    if (!this.#members.some(hasResult)) {
      await new Promise<void>((resolve) => {
        this.#onResult = resolve
      })
    }
    return this.#takeResults()
  }

  #start(member: Member, limits: PollLimits): void {
    if (member.isOut || hasResult(member)) return
    member.isOut = true
    member.client
      .poll(limits)
      .then(
        (result) => {
          member.result = result
        },
        (error) => {
          member.failure = { error }
        },
      )
      .finally(() => {
        member.isOut = false
        if (this.#isClosing) this.#dropResults()
        this.#onResult()
      })
  }

  #takeResults(): PollResult {
    const all: PollResult = { batches: [], ends: [], errors: [] }
    for (const member of this.#members) {
      const { result, failure } = member
      member.result = undefined
      if (failure !== undefined) {
        member.failure = undefined
        throw failure.error
      }
      if (result === undefined) continue
      all.batches.push(...result.batches)
      all.ends.push(...result.ends)
      all.errors.push(...result.errors)
    }
    return all
  }

  /**
   * Records and ends that wait here and that nobody is to see any more; errors are kept for the next poll. What a poll
   * brings that is still out, its own client answers for.
   */
  #dropResults(): void {
    for (const member of this.#members) {
      if (member.result !== undefined) member.result = this.#onlyErrors(member.result)
    }
  }
  #onlyErrors(result: PollResult): PollResult {
    for (const { frame } of result.batches) this.#group.recycle(frame)
    return { batches: [], ends: [], errors: result.errors }
  }

  #shares(partitions: TopicPartition[]): Map<Reader, TopicPartition[]> {
    const shares = new Map<Reader, TopicPartition[]>()
    for (const partition of partitions) {
      const client = this.#fetcherOf.get(partitionKey(partition))?.client
      if (client === undefined) continue
      const share = shares.get(client)
      if (share === undefined) shares.set(client, [partition])
      else share.push(partition)
    }
    return shares
  }

  recycle(frame: ArrayBuffer): void {
    this.#group.recycle(frame)
  }
  watermarks(partition: TopicPartition, timeoutMs: number): Promise<{ low: number; high: number }> {
    return this.#group.watermarks(partition, timeoutMs)
  }
  offsetsForTimes(times: TopicPartitionTime[], timeoutMs: number): Promise<TimeOffset[]> {
    return this.#group.offsetsForTimes(times, timeoutMs)
  }
  committed(partitions: TopicPartition[], timeoutMs: number): Promise<CommittedOffset[]> {
    return this.#group.committed(partitions, timeoutMs)
  }
  async leave(timeoutMs: number): Promise<void> {
    this.#dropResults()
    for (const { client } of this.#fetchers) client.assign([])
    await this.#group.leave(timeoutMs)
  }
  groupMetadata(): GroupMetadata {
    return this.#group.groupMetadata()
  }
  async close(): Promise<void> {
    this.#isClosing = true
    this.#dropResults()
    await Promise.all(this.#members.map(({ client }) => client.close()))
  }
}

function memberOf(client: Reader): Member {
  return { client, isOut: false, result: undefined, failure: undefined }
}

function hasResult(member: Member): boolean {
  return member.result !== undefined || member.failure !== undefined
}
