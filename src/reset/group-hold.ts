// Holds a job's group while the job is reset: the only member, with all partitions. Main thread.
// Keeps SPEC: RESET-2 (a job that runs is refused; one that starts meanwhile waits, or the reset is void).

import { type Clock, delay, type Scheduler } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import { Wake } from '../engine/wake.ts'
import type {
  Admin,
  CommittedOffset,
  GroupConsumer,
  GroupMember,
  GroupMetadata,
  Kafka,
  TopicPartition,
} from '../kafka/port.ts'

/*
 * Why a membership and not offsets of nobody (generation -1), which brokers take in a transaction at any time:
 *
 *   - offsets of a member are refused once its generation is over, so a reset that lost the group cannot commit;
 *   - an instance that starts meanwhile gets no partition before the reset leaves (the protocol is eager), and if the
 *     reset hangs for so long that it is thrown out, the instance waits for its pending offsets before it reads anything;
 *   - an instance of before that still hangs in an epoch sends its offsets first, and they are of an older generation.
 */
export interface HoldOptions {
  kafka: Kafka
  admin: Admin
  clock: Clock
  scheduler: Scheduler
  job: string
  topic: string
  partitionCount: number
  /** How long members that are there are waited for: stopped ones leave when their session ends. */
  waitMs: number
  callMs: number
  connectMs: number
  /** Words for people. */
  say: (line: string) => void
  /** It is not wanted any more: throws. */
  check: () => void
}

const ASK_EVERY_MS = 250
const POLL_WAIT_MS = 100

/** Waits until nobody is in the group. Throws MR4021 when somebody still is after `waitMs`. */
export async function awaitEmptyGroup(options: HoldOptions): Promise<void> {
  const { admin, clock, scheduler, job, waitMs, callMs, say, check } = options
  const untilMs = clock.monotonicMs() + waitMs
  for (let isTold = false; ; isTold = true) {
    check()
    const members = await admin.groupMembers(job, callMs)
    if (members.length === 0) return
    if (clock.monotonicMs() >= untilMs) throw runs(job, members)
    if (!isTold) say(`the group ${job} has members (${namesOf(members)}): waiting up to ${waitMs} ms for them to leave`)
    await delay(scheduler, ASK_EVERY_MS)
  }
}

/** The job as running, with who is in its group. */
function runs(job: string, members: readonly GroupMember[]): MillraceError {
  return new MillraceError('MR4021', { job, members: namesOf(members) })
}

export function namesOf(members: readonly GroupMember[]): string {
  return members.map(({ instanceId, memberId, host }) => `${instanceId ?? memberId} at ${host}`).join(', ')
}

/**
 * The group, held. Polls go on in the background, since a member has to answer.
 *
 * @example
 * const hold = await GroupHold.take(options)
 * await producer.sendOffsets(offsets, hold.group, callMs)
 * await hold.close()
 */
export class GroupHold {
  readonly #options: HoldOptions
  readonly #consumer: GroupConsumer
  readonly #polls: Promise<void>
  #group: GroupMetadata | undefined
  #partitionCount = 0
  #failure: unknown
  readonly #news: Wake
  #isOver = false

  private constructor(options: HoldOptions, consumer: GroupConsumer) {
    this.#options = options
    this.#consumer = consumer
    this.#news = new Wake(options.scheduler)
    this.#polls = this.#poll()
  }

  /** Joins and gets all partitions. Throws MR4021 when others joined as well, MR4022 when the group gives no answer. */
  static async take(options: HoldOptions): Promise<GroupHold> {
    const { kafka, job, topic } = options
    let hold: GroupHold | undefined
    const early: ((hold: GroupHold) => void)[] = []
    const tell = (event: (hold: GroupHold) => void): void => {
      if (hold === undefined) early.push(event)
      else event(hold)
    }
    const consumer = await kafka.openConsumer({
      groupId: job,
      instanceId: '',
      topics: [topic],
      listener: {
        onAssign: (partitions) => tell((one) => one.#assigned(partitions.length)),
        onRevoke: () => tell((one) => one.#lose()),
      },
    })
    hold = new GroupHold(options, consumer)
    for (const event of early) event(hold)
    try {
      await hold.#untilAssigned()
      return hold
    } catch (error) {
      await hold.close()
      throw error
    }
  }

  /** The membership that offsets are sent with. Throws MR4021 when the group is not held any more. */
  get group(): GroupMetadata {
    if (this.#failure !== undefined) throw this.#failure
    return this.#group!
  }

  /** Stable: offsets of transactions that are not decided are waited for, so none of an older generation is left open. */
  committed(partitions: TopicPartition[], timeoutMs: number): Promise<CommittedOffset[]> {
    return this.#consumer.committed(partitions, timeoutMs)
  }

  /** Leaves the group. Idempotent. */
  async close(): Promise<void> {
    this.#isOver = true
    this.#group?.release()
    this.#group = undefined
    // Ends the poll that is out.
    await this.#consumer.close()
    await this.#polls
  }

  #assigned(partitionCount: number): void {
    this.#partitionCount = partitionCount
    this.#group = this.#consumer.groupMetadata()
    this.#news.ring()
  }
  /** Somebody joined. No answer is given until the reset is over, one way or the other. */
  #lose(): void {
    const { job } = this.#options
    this.#failure ??= new MillraceError('MR4021', { job, members: 'an instance that started meanwhile' })
    this.#news.ring()
  }

  async #untilAssigned(): Promise<void> {
    const { clock, admin, job, partitionCount, callMs, connectMs } = this.#options
    const untilMs = clock.monotonicMs() + connectMs
    while (this.#group === undefined && this.#failure === undefined) {
      if (clock.monotonicMs() >= untilMs) {
        throw new MillraceError('MR4022', { job, reason: `its group gave no partitions within ${connectMs} ms` })
      }
      await this.#news.wait(untilMs - clock.monotonicMs())
    }
    if (this.#failure !== undefined) throw this.#failure
    if (this.#partitionCount < partitionCount) throw runs(job, await admin.groupMembers(job, callMs))
  }

  async #poll(): Promise<void> {
    while (!this.#isOver && this.#failure === undefined) {
      try {
        await this.#consumer.poll({ recordsMax: 1, bytesMax: 1, waitMs: POLL_WAIT_MS })
      } catch (error) {
        this.#failure ??= error
        this.#news.ring()
      }
    }
  }
}
