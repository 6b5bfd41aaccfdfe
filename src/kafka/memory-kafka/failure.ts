// Kafka's errors by name, with the number and the flags that librdkafka gives them. Main thread.
// Keeps SPEC: ERR-2 (decide by fields, never by a message).

import { KafkaError, type KafkaFailure } from '../port.ts'

interface FailureRow {
  code: number
  isFatal?: true
  isRetriable?: true
}

/** librdkafka's numbers: negative ones are the client's own, the others come from a broker. */
const FAILURES = {
  _DESTROY: { code: -197 },
  _UNKNOWN_PARTITION: { code: -190 },
  _INVALID_ARG: { code: -186 },
  _TIMED_OUT: { code: -185, isRetriable: true },
  _STATE: { code: -172 },
  _TIMED_OUT_QUEUE: { code: -166, isRetriable: true },
  _FATAL: { code: -150, isFatal: true },
  _FENCED: { code: -144, isFatal: true },
  _AUTO_OFFSET_RESET: { code: -140 },
  UNKNOWN_TOPIC_OR_PART: { code: 3 },
  MSG_SIZE_TOO_LARGE: { code: 10 },
  ILLEGAL_GENERATION: { code: 22 },
  UNKNOWN_MEMBER_ID: { code: 25 },
  INVALID_PARTITIONS: { code: 37 },
  CONCURRENT_TRANSACTIONS: { code: 51, isRetriable: true },
  KAFKA_STORAGE_ERROR: { code: 56, isRetriable: true },
  FENCED_INSTANCE_ID: { code: 82, isFatal: true },
} as const satisfies Record<string, FailureRow>

export type FailureName = keyof typeof FAILURES

/** A failure as data; `more` adds a topic and partition or overrides a flag. */
export function failure(name: FailureName, message: string, more: Partial<KafkaFailure> = {}): KafkaFailure {
  const row: FailureRow = FAILURES[name]
  return {
    code: row.code,
    name,
    message,
    isFatal: row.isFatal ?? false,
    isRetriable: row.isRetriable ?? false,
    requiresAbort: false,
    ...more,
  }
}

/**
 * The same as an error to throw, e.g. from a fault hook.
 *
 * @example
 * kafka.faults.after = ({ call }) => { if (call === 'commit') throw kafkaError('_TIMED_OUT', 'answer lost') }
 */
export function kafkaError(name: FailureName, message: string, more: Partial<KafkaFailure> = {}): KafkaError {
  return new KafkaError(failure(name, message, more))
}
