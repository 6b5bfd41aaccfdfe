// The poll loop: one outstanding poll, frames to the current attempt, a stop when there is no room. Main thread.
// Keeps SPEC: FLOW-1 (backpressure is end to end and counted in bytes).

import type { Clock, Scheduler } from '../core/clock.ts'
import type { GroupConsumer, PollResult, TopicPartition } from '../kafka/port.ts'
import { Wake } from './wake.ts'

/** Takes frames; says when it has room. */
export interface FrameTaker {
  hasRoom(): boolean
  /** False once it ends: nothing that is read now is of use to it. */
  wantsMore(): boolean
  accept(result: PollResult): void
  /** Not to be read yet, whatever else is. */
  isHeld(partition: TopicPartition): boolean
}

export interface IngestOptions {
  consumer: GroupConsumer
  clock: Clock
  scheduler: Scheduler
  pollRecordsMax: number
  pollBytesMax: number
  onFailure: (error: unknown) => void
}

const POLL_WAIT_MS = 100
/** Between attempts, which begin and end only when no poll is out: a recovery is not to stand behind an empty one. */
const POLL_WAIT_BETWEEN_MS = 10
/** Without room for this long, partitions are paused and the client is polled all the same: its group must hear from us. */
const PAUSE_AFTER_MS = 1_000

export class Ingest {
  readonly #options: IngestOptions
  readonly #room: Wake
  #taker: FrameTaker | undefined
  #assigned: TopicPartition[] = []
  #held: TopicPartition[] = []
  #isHeld = false
  #isClosed = false
  #isRunning = false
  #onHeld: (() => void) | undefined
  #resume: (() => void) | undefined
  #loop: Promise<void> | undefined

  constructor(options: IngestOptions) {
    this.#options = options
    this.#room = new Wake(options.scheduler)
  }

  start(): void {
    this.#isRunning = true
    this.#loop = this.#run()
  }
  /** There may be room again. */
  ring(): void {
    this.#room.ring()
  }
  /** Partitions that are held are paused from the start; each is read as soon as it is held no more. */
  #release(): void {
    const free = this.#held.filter((partition) => this.#taker?.isHeld(partition) !== true)
    if (free.length === 0) return
    this.#held = this.#held.filter((partition) => !free.includes(partition))
    this.#options.consumer.resume(free)
  }
  /** Call it once they are assigned to the consumer. */
  holdBack(): void {
    this.#held = this.#assigned.filter((partition) => this.#taker?.isHeld(partition) === true)
    if (this.#held.length > 0) this.#options.consumer.pause(this.#held)
  }
  /** From now on frames go to this taker. Only while held, so that no frame goes to the wrong one. */
  feed(taker: FrameTaker | undefined, assigned: TopicPartition[]): void {
    this.#taker = taker
    this.#assigned = assigned
  }
  /** Resolves when no poll is outstanding; none starts until `release`. */
  hold(): Promise<void> {
    this.#isHeld = true
    this.#room.ring()
    if (this.#resume !== undefined || !this.#isRunning) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onHeld = resolve
    })
  }
  release(): void {
    this.#isHeld = false
    this.#resume?.()
    this.#resume = undefined
  }
  async close(): Promise<void> {
    this.#isClosed = true
    this.#room.ring()
    this.release()
    await this.#loop
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isClosed) {
        if (this.#isHeld) {
          await this.#waitForRelease()
          continue
        }
        await this.#pollOnce()
      }
    } catch (error) {
      this.#isClosed = true
      this.#options.onFailure(error)
    }
    this.#isRunning = false
    this.#onHeld?.()
    this.#onHeld = undefined
  }

  #waitForRelease(): Promise<void> {
    this.#onHeld?.()
    this.#onHeld = undefined
    return new Promise((resolve) => {
      this.#resume = resolve
    })
  }

  async #pollOnce(): Promise<void> {
    const { consumer, pollRecordsMax: recordsMax, pollBytesMax: bytesMax } = this.#options
    const isPaused = !(await this.#waitForRoom())
    if (this.#isHeld || this.#isClosed) return
    if (isPaused) consumer.pause(this.#assigned)
    const waitMs = this.#taker?.wantsMore() ? POLL_WAIT_MS : POLL_WAIT_BETWEEN_MS
    const result = await consumer.poll({ recordsMax, bytesMax, waitMs })
    if (isPaused) consumer.resume(this.#assigned.filter((partition) => this.#taker?.isHeld(partition) !== true))
    this.#taker?.accept(result)
    this.#release()
  }

  /** Until the attempt has room; gives up (false) after a while, so that the group still hears from us. */
  async #waitForRoom(): Promise<boolean> {
    const untilMs = this.#options.clock.monotonicMs() + PAUSE_AFTER_MS
    while (this.#isFull && !this.#isHeld && !this.#isClosed) {
      const leftMs = untilMs - this.#options.clock.monotonicMs()
      if (leftMs <= 0) return false
      await this.#room.wait(leftMs)
    }
    return true
  }
  get #isFull(): boolean {
    return this.#taker !== undefined && !this.#taker.hasRoom()
  }
}
