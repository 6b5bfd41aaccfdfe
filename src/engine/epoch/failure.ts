// What is done about a failed Kafka call of an epoch: a pure decision over the failure's fields. Main thread.
// Keeps SPEC: EPOCH-2 (an unknown outcome is never guessed), EPOCH-3 (fencing ends the process).

import type { KafkaFailure } from '../../kafka/port.ts'

export type EpochPhase = 'init' | 'begin' | 'produce' | 'flush' | 'offsets' | 'commit' | 'abort'

export type FailureDecision =
  /** Abort the transaction, then reopen the tasks under a new attempt. */
  | { kind: 'abort' }
  /** The client is of no use or the outcome is unknown: a new producer with the same transactional id finds out. */
  | { kind: 'new-producer' }
  | { kind: 'stop'; code: 'MR4005' | 'MR4007' }

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
 * Decides after a failed call. Time-outs of commit and abort, and all else that is not plainly abortable, end with a new
 * producer: a late EndTxn of the old one must not end a transaction of the new.
 */
export function decideFailure(failure: KafkaFailure, phase: EpochPhase): FailureDecision {
  if (FENCED.has(failure.name)) return { kind: 'stop', code: 'MR4005' }
  if (FOR_GOOD.has(failure.name)) return { kind: 'stop', code: 'MR4007' }
  if (failure.isFatal || phase === 'init' || phase === 'begin' || phase === 'abort') return { kind: 'new-producer' }
  if (failure.requiresAbort) return { kind: 'abort' }
  // A commit that failed without saying "abort" may have happened.
  if (phase === 'commit') return { kind: 'new-producer' }
  return { kind: 'abort' }
}
