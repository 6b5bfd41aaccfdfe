// Faults that a test injects into memory-kafka: before a call (it was not applied), after it (it was, the answer is
// lost), late (the answer times out now, the request arrives at a moment that the test chooses). Main thread.

import { kafkaError } from './failure.ts'

export type FaultCall =
  | 'initTransactions'
  | 'begin'
  | 'produce'
  | 'flush'
  | 'sendOffsets'
  | 'commit'
  | 'abort'
  | 'poll'
  | 'watermarks'
  | 'offsetsForTimes'
  | 'committed'
  | 'leave'
  | 'describe'
  | 'create'
  | 'config'
  | 'deleteRecords'
  | 'delete'
  | 'groupMembers'

export interface FaultPoint {
  call: FaultCall
  /** The transactional id, the instance id, `reader`, `producer` or `admin`. */
  client: string
  /** The how manieth call of this kind by this client, from 1; clients of one name count together. */
  count: number
}

/** The call times out at once and is applied when the promise resolves, unless it is fenced by then. */
export interface LateDelivery {
  lateUntil: Promise<void>
}

/** Hooks; each may wait, and may throw a KafkaError that the caller then sees. Set them at any time. */
export interface Faults {
  before?: ((point: FaultPoint) => undefined | LateDelivery | Promise<undefined | LateDelivery>) | undefined
  after?: ((point: FaultPoint) => void | Promise<void>) | undefined
  /** True: the marker of an ended transaction is not written to this partition until `releaseMarkers`. */
  holdMarkers?: ((topic: string, partition: number) => boolean) | undefined
}

/** Runs calls between the hooks. */
export class FaultGate {
  readonly faults: Faults
  readonly #counts = new Map<string, number>()

  constructor(faults: Faults) {
    this.faults = faults
  }

  async run<T>(call: FaultCall, client: string, apply: () => T | Promise<T>): Promise<T> {
    const point = { call, client, count: this.#next(`${call} ${client}`) }
    const late = await this.faults.before?.(point)
    if (late !== undefined) {
      void applyLate(late, apply)
      throw kafkaError('_TIMED_OUT', `${call} timed out, its outcome is unknown`)
    }
    const result = await apply()
    await this.faults.after?.(point)
    return result
  }

  #next(name: string): number {
    const count = (this.#counts.get(name) ?? 0) + 1
    this.#counts.set(name, count)
    return count
  }
}

/** A late request has nobody who waits for its answer, so a refusal (fenced by then) has no reader either. */
async function applyLate<T>(late: LateDelivery, apply: () => T | Promise<T>): Promise<void> {
  await late.lateUntil
  try {
    await apply()
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'KafkaError') throw error
  }
}
