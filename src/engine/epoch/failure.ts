// What is done about a failed Kafka call: a pure decision over the failure's fields. Main thread.
// Keeps SPEC: EPOCH-2 (an unknown outcome is never guessed), EPOCH-3 (fencing ends the process).

import type { KafkaFailure } from '../../kafka/port.ts'

/** Where in an epoch's life a call failed; for the log. */
export type EpochPhase = 'init' | 'begin' | 'produce' | 'flush' | 'offsets' | 'commit'

export type FailureDecision =
  /**
   * Drop the epoch. A new producer with the same transactional id aborts what is open or waits for what was decided; then
   * the tasks are reopened from what Kafka says. The same for a plain abort and for an unknown outcome: a late EndTxn of the
   * old producer can not end a transaction of the new one, and there is one path to test.
   */
  { kind: 'rebuild' } | { kind: 'stop'; code: 'MR4005' | 'MR4007' }

const FENCED = new Set(['_FENCED', 'PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH', 'FENCED_INSTANCE_ID'])
const FOR_GOOD = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'UNSUPPORTED_VERSION',
  'SASL_AUTHENTICATION_FAILED',
  '_AUTHENTICATION',
])

/**
 * Decides after a failed call.
 *
 * @example
 * decideFailure({ name: '_TIMED_OUT', ... }) // { kind: 'rebuild' }
 */
export function decideFailure(failure: KafkaFailure): FailureDecision {
  if (FENCED.has(failure.name)) return { kind: 'stop', code: 'MR4005' }
  if (FOR_GOOD.has(failure.name)) return { kind: 'stop', code: 'MR4007' }
  return { kind: 'rebuild' }
}
