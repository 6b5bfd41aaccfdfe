// Watches the committed offsets of a group from outside, with another client: what the chaos proof times restarts by.
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type Admin } from 'kafkajs'
import { readOffsetMetadata } from '../../src/engine/offset-metadata.ts'

const { Kafka, logLevel } = kafkajs

/** The offsets are asked for this often: the resolution of what is timed. */
const ASK_EVERY_MS = 5
/** A fresh broker has a coordinator for the group within this time. */
const COORDINATOR_MS_MAX = 30_000
/** What cannot be answered yet is asked again soon: kafkajs' own pauses grow to seconds. */
const RETRY = { initialRetryTime: 20, maxRetryTime: 200, retries: 200 }

export class CommitWatch {
  readonly #admin: Admin
  readonly #groupId: string
  readonly #topic: string

  private constructor(admin: Admin, groupId: string, topic: string) {
    this.#admin = admin
    this.#groupId = groupId
    this.#topic = topic
  }

  static async open(brokers: string, groupId: string, topic: string): Promise<CommitWatch> {
    // What it tries again it would log as an error; what fails for good is thrown.
    const kafka = new Kafka({
      brokers: brokers.split(','),
      clientId: 'commit-watch',
      logLevel: logLevel.NOTHING,
      retry: RETRY,
    })
    const admin = kafka.admin()
    await admin.connect()
    const watch = new CommitWatch(admin, groupId, topic)
    // A fresh broker makes its topic of offsets for the first who asks; nothing that is timed shall wait for that.
    await watch.total()
    return watch
  }

  /** The committed offsets of all partitions, added up; 0 before the first commit. */
  async total(): Promise<number> {
    return (await this.#offsets()).reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0)
  }

  async #offsets(): Promise<{ partition: number; offset: string; metadata: string | null }[]> {
    const untilMs = performance.now() + COORDINATOR_MS_MAX
    for (;;) {
      try {
        const [topic] = await this.#admin.fetchOffsets({ groupId: this.#groupId, topics: [this.#topic] })
        return topic?.partitions ?? []
      } catch (error) {
        if (!isRetriable(error) || performance.now() > untilMs) throw error
        await sleep(ASK_EVERY_MS)
      }
    }
  }

  /**
   * Resolves with the time (performance.now()) when offsets beyond those of `settledMs` are seen: what is committed up to
   * then may be a predecessor's, whose last commit the broker still completed. Undefined when `isOver` says so first.
   */
  async nextCommit(settledMs: number, isOver: () => boolean): Promise<number | undefined> {
    let settled = await this.total()
    for (;;) {
      const total = await this.total()
      const nowMs = performance.now()
      if (nowMs < settledMs) settled = total
      else if (total > settled) return nowMs
      if (isOver()) return undefined
      await sleep(ASK_EVERY_MS)
    }
  }

  /** What an instance has committed last, by partition: `epoch@offset` of those whose last commit is its own. */
  async commitsOf(instanceId: string): Promise<Map<number, string>> {
    const commits = new Map<number, string>()
    for (const { partition, offset, metadata } of await this.#offsets()) {
      const noted = readOffsetMetadata(metadata ?? '')
      if (noted?.instanceId === instanceId) commits.set(partition, `${noted.epoch}@${offset}`)
    }
    return commits
  }

  /** As `nextCommit`, for one of several instances. */
  async nextCommitOf(instanceId: string, settledMs: number, isOver: () => boolean): Promise<number | undefined> {
    let settled = await this.#textOf(instanceId)
    for (;;) {
      const text = await this.#textOf(instanceId)
      const nowMs = performance.now()
      if (nowMs < settledMs) settled = text
      else if (text !== settled && text !== '') return nowMs
      if (isOver()) return undefined
      await sleep(ASK_EVERY_MS)
    }
  }
  async #textOf(instanceId: string): Promise<string> {
    return [...(await this.commitsOf(instanceId))].map(([partition, commit]) => `${partition}:${commit}`).join(' ')
  }

  close(): Promise<void> {
    return this.#admin.disconnect()
  }
}

/** kafkajs says of its errors whether asking again may help. */
function isRetriable(error: unknown): boolean {
  return error instanceof Error && (error as { retriable?: boolean }).retriable === true
}
