// The port: what Millrace asks of Kafka. Two implementations: rdkafka/ (real) and memory-kafka/ (log, groups and
// transactions in memory); one suite of cases holds both. Runs on the main thread.
// Keeps SPEC: KAFKA-1 (read committed only), KAFKA-2 (offsets ride in the transaction).

export interface TopicPartition {
  topic: string
  partition: number
}

/** One text for a partition, for maps. */
export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

export interface TopicPartitionOffset extends TopicPartition {
  offset: number
}
export interface TopicPartitionTime extends TopicPartition {
  /** Milliseconds since the epoch. */
  timestampMs: number
}
export interface TimeOffset extends TopicPartition {
  offset: number | undefined
}
/** An offset as committed; `metadata` is free text that rides along, e.g. the epoch of a stateless task. */
export interface CommittedOffset extends TopicPartition {
  /** Undefined: nothing is committed for it. */
  offset: number | undefined
  metadata: string
}

/** A packed frame (core/frame.ts) of one partition, its records in offset order. */
export interface SourceBatch extends TopicPartition {
  frame: ArrayBuffer
  recordCount: number
  /** Bytes of the frame: what limits are counted in. */
  bytes: number
  /** Offset after the last record. */
  nextOffset: number
}

export interface PollResult {
  batches: SourceBatch[]
  /** Partitions whose end (the last stable offset) was reached, with the position then. */
  ends: TopicPartitionOffset[]
  /** Errors that concern the client or a partition; none is swallowed. Fatal ones are thrown instead. */
  errors: KafkaFailure[]
}

export interface PollLimits {
  recordsMax: number
  bytesMax: number
  /** Waits this long for a first record, then takes what is there without waiting again. */
  waitMs: number
}

/** Failure of a Kafka call, as data. `code` is librdkafka's number (negative: local). */
export interface KafkaFailure {
  code: number
  /** librdkafka's name without prefix, e.g. `_TIMED_OUT`, `TOPIC_AUTHORIZATION_FAILED`. */
  name: string
  message: string
  isFatal: boolean
  isRetriable: boolean
  requiresAbort: boolean
  topic?: string
  partition?: number
}

/** Thrown by every call of the port. Decide by its fields, never by its message. */
export class KafkaError extends Error {
  readonly failure: KafkaFailure
  constructor(failure: KafkaFailure) {
    super(`${failure.name} (${failure.code}): ${failure.message}`)
    this.name = 'KafkaError'
    this.failure = failure
  }
  get isTimeout(): boolean {
    return this.failure.name === '_TIMED_OUT' || this.failure.name === '_TIMED_OUT_QUEUE'
  }
  get isFenced(): boolean {
    const { name } = this.failure
    return (
      name === '_FENCED' ||
      name === 'PRODUCER_FENCED' ||
      name === 'INVALID_PRODUCER_EPOCH' ||
      name === 'FENCED_INSTANCE_ID'
    )
  }
}

/** Proof of a live group membership, taken when partitions were assigned; opaque to all but its own client. */
export interface GroupMetadata {
  readonly memberId: string
  readonly generation: number
  release(): void
}

export interface RebalanceListener {
  /** New assignment (the whole of it; the protocol is eager). Reading starts only with `consumer.assign`. */
  onAssign(partitions: TopicPartition[]): void
  /** All partitions are taken. The consumer must answer with `unassign` when it has let go; `isLost`: it is too late to commit. */
  onRevoke(partitions: TopicPartition[], isLost: boolean): void
}

export interface ReaderOptions {
  /** Read aborted and open transactions' records too. Default false: read_committed. */
  readUncommitted?: boolean
  /** Extra client settings, in librdkafka's names. */
  settings?: Record<string, string | number | boolean>
}

/** Reads partitions that it is told to, from offsets that it is told; no group. For changelogs and views. */
export interface Reader {
  assign(partitions: TopicPartitionOffset[]): void
  poll(limits: PollLimits): Promise<PollResult>
  /** Takes a frame back when nobody reads it any more: its memory is free at once, not at some collection. */
  recycle(frame: ArrayBuffer): void
  pause(partitions: TopicPartition[]): void
  resume(partitions: TopicPartition[]): void
  /** First and next offset of a partition, asked of the broker; `high` is the high watermark (read uncommitted). */
  watermarks(partition: TopicPartition, timeoutMs: number): Promise<{ low: number; high: number }>
  /** The first offset of each partition whose Kafka timestamp is at or after its time; undefined: there is none (yet). */
  offsetsForTimes(times: TopicPartitionTime[], timeoutMs: number): Promise<TimeOffset[]>
  /** Safe with a poll outstanding: it ends that first. Idempotent. */
  close(): Promise<void>
}

export interface GroupConsumerOptions extends ReaderOptions {
  groupId: string
  /** group.instance.id: static membership. Empty: a dynamic member, which is gone from the group when it closes. */
  instanceId: string
  /** None: the group is not joined, only asked for its offsets. */
  topics: string[]
  listener: RebalanceListener
}

export interface GroupConsumer extends Reader {
  unassign(): void
  /** Committed offsets, stable (pending transactions are waited for within the time-out). */
  committed(partitions: TopicPartition[], timeoutMs: number): Promise<CommittedOffset[]>
  /**
   * Leaves the group at once, a static member too, so that others take over without waiting for its session to end. Only
   * `close` may follow. Resolves when the broker was told, or after the time-out: then the session ends by itself.
   */
  leave(timeoutMs: number): Promise<void>
  /** The membership as of now; refuses generation -1 or an empty member id. */
  groupMetadata(): GroupMetadata
}

export interface ProducerOptions {
  /** Undefined: a plain idempotent producer, for tools and generators. */
  transactionalId?: string
  transactionTimeoutMs?: number
  /** Records are not put together in batches of more than this: a broker measures batches, not records. */
  batchBytesMax?: number
  settings?: Record<string, string | number | boolean>
}

/** A delivery that failed for good. */
export interface DeliveryFailure extends KafkaFailure {
  topic: string
  partition: number
  key: Uint8Array | undefined
}

/**
 * Order of calls: `initTransactions` once, then `begin`, any `produce`, `sendOffsets`, `commit` or `abort`.
 * One call at a time, but `produce` calls may queue up: they keep their order.
 */
export interface Producer {
  initTransactions(timeoutMs: number): Promise<void>
  begin(): Promise<void>
  /**
   * Hands all records of a sink frame to the client; resolves when they are all queued there (waits while its queue is
   * full). `topics` is what the frame's topic indexes point into. Partition -1: murmur2 of the key, random without one.
   */
  produce(frame: ArrayBuffer, topics: readonly string[]): Promise<void>
  /** Resolves when every record so far is delivered; throws the first failure, `failures()` has all of them. */
  flush(timeoutMs: number): Promise<void>
  /** Deliveries that failed since the last call. */
  failures(): DeliveryFailure[]
  sendOffsets(
    offsets: (TopicPartitionOffset & { metadata?: string })[],
    group: GroupMetadata,
    timeoutMs: number,
  ): Promise<void>
  commit(timeoutMs: number): Promise<void>
  abort(timeoutMs: number): Promise<void>
  /** Closes when no call is outstanding, else abandons the client and frees it when its call returns. */
  close(): Promise<void>
}

export interface TopicDescription {
  name: string
  partitionCount: number
  /** Undefined where the broker does not tell (mock cluster). */
  topicId: string | undefined
  /** What this principal may do with it, in Kafka's words (`READ`, `DESCRIBE_CONFIGS`); undefined where it is not told. */
  operations?: readonly string[]
}

export interface NewTopic {
  name: string
  partitionCount: number
  replicationFactor: number
  config: Record<string, string>
}

/** A member of a group as its coordinator knows it. */
export interface GroupMember {
  memberId: string
  /** Undefined for a dynamic member. */
  instanceId: string | undefined
  /** Address that the coordinator sees it at. */
  host: string
}

export interface Admin {
  /** Topics that exist among `names`; the others are absent. One that may not be looked at has no partitions and no operations. */
  describe(names: string[], timeoutMs: number): Promise<TopicDescription[]>
  /** Creates topics; one that exists is no error. */
  create(topics: NewTopic[], timeoutMs: number): Promise<void>
  /** Settings of a topic in effect (`max.message.bytes`, `retention.ms`, `cleanup.policy`...); empty where the broker does not tell. */
  config(topic: string, timeoutMs: number): Promise<Record<string, string>>
  /** Deletes the records before these offsets. Throws `_UNSUPPORTED_FEATURE` where the client or the broker cannot. */
  deleteRecords(before: TopicPartitionOffset[], timeoutMs: number): Promise<void>
  /** Deletes topics; one that is absent is no error. */
  delete(names: string[], timeoutMs: number): Promise<void>
  /**
   * Members of a consumer group; none for a group that is not there. A static member that ended stays one until its session
   * times out. Throws `_UNSUPPORTED_FEATURE` where the client cannot ask.
   */
  groupMembers(groupId: string, timeoutMs: number): Promise<GroupMember[]>
  close(): Promise<void>
}

export interface Kafka {
  readonly kind: 'rdkafka' | 'memory'
  /** Compressions of Kafka that this implementation cannot read; absent: none. */
  readonly unreadableCodecs?: readonly string[]
  /** Clients of this process that hang in a call and were given up: at two, restart the process. */
  abandonedClients(): number
  openConsumer(options: GroupConsumerOptions): Promise<GroupConsumer>
  openReader(options: ReaderOptions): Promise<Reader>
  openProducer(options: ProducerOptions): Promise<Producer>
  openAdmin(): Promise<Admin>
}
