// What is done about a failed Kafka call: a pure decision over the failure's fields. Main thread.
// Keeps SPEC: EPOCH-2 (an unknown outcome is never guessed), EPOCH-3 (a process that is replaced stops), SIZE-2 (a record that is
// refused for good is not sent again and again).

import type { KafkaFailure } from '../../kafka/port.ts'

/** Where in an epoch's life a call failed; for the log. */
export type EpochPhase = 'init' | 'begin' | 'produce' | 'flush' | 'offsets' | 'commit'

export type FailureDecision =
  /**
   * Drop the epoch. A new producer with the same transactional id aborts what is open or waits for what was decided; then
   * the tasks are reopened from what Kafka says. The same for a plain abort and for an unknown outcome: a late EndTxn of the
   * old producer can not end a transaction of the new one, and there is one path to test.
   */
  | { kind: 'rebuild' }
  /**
   * The transactional id was initialised by somebody else: another process with our instance id, or one that took our
   * partitions over and had to end our transaction. The group knows: only the first is a member under our name.
   */
  | { kind: 'ask' }
  | { kind: 'stop'; code: 'MR4005' | 'MR4007' | 'MR4015' }

const PRODUCER_FENCED = new Set(['_FENCED', 'PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH'])
const FOR_GOOD = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'UNSUPPORTED_VERSION',
  'SASL_AUTHENTICATION_FAILED',
  '_AUTHENTICATION',
])

/** A topic refuses the record itself: the same epoch, done again, would be refused again, for ever. */
const REFUSED = new Set(['MSG_SIZE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_TIMESTAMP', 'INVALID_RECORD'])

/** True when a delivery failed because of what the record is, not because of how the brokers are. */
export function isRefused(failure: KafkaFailure): boolean {
  return REFUSED.has(failure.name)
}

/** Errors after which a partition is not fetched any more: without an answer to them it would stand still in silence. */
const ENDS_FETCHING = new Set([
  '_AUTO_OFFSET_RESET',
  'OFFSET_OUT_OF_RANGE',
  '_UNKNOWN_TOPIC',
  '_UNKNOWN_PARTITION',
  'UNKNOWN_TOPIC_OR_PART',
  'UNKNOWN_TOPIC_ID',
  'TOPIC_AUTHORIZATION_FAILED',
])

/** True when a partition stands still after this error; reopening its task finds out what is to be done. */
export function endsFetching(failure: KafkaFailure): boolean {
  return ENDS_FETCHING.has(failure.name)
}

/**
 * Decides after a failed call.
 *
 * @example
 * decideFailure({ name: '_TIMED_OUT', ... }) // { kind: 'rebuild' }
 */
export function decideFailure(failure: KafkaFailure): FailureDecision {
  if (failure.name === 'FENCED_INSTANCE_ID') return { kind: 'stop', code: 'MR4005' }
  if (PRODUCER_FENCED.has(failure.name)) return { kind: 'ask' }
  if (FOR_GOOD.has(failure.name)) return { kind: 'stop', code: 'MR4007' }
  if (isRefused(failure)) return { kind: 'stop', code: 'MR4015' }
  return { kind: 'rebuild' }
}
