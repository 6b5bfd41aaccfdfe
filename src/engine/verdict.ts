// What an error means for the job: a new attempt, or the end. Main thread; pure.
// Keeps SPEC: EPOCH-2 (an unknown outcome is never guessed), EPOCH-3 (a process that is replaced stops).

import { type ErrorCode, MillraceError } from '../core/errors.ts'
import { KafkaError } from '../kafka/port.ts'
import { decideFailure } from './epoch/failure.ts'
import { EpochError, epochFailure } from './transaction.ts'

/** Brokers, and the endpoint that gives tokens for them. */
const AWAY: ReadonlySet<ErrorCode> = new Set(['MR4001', 'MR4033'])

/**
 * `hasRun`: records have flowed in this process before. `ask`: the producer was fenced; the group knows whether another
 * process has our name.
 */
export function decideError(error: unknown, hasRun: boolean): 'stop' | 'rebuild' | 'ask' {
  const kafka = kafkaErrorOf(error)
  if (kafka !== undefined) return decideFailure(kafka.failure).kind
  if (!(error instanceof MillraceError)) return 'rebuild'
  // What is away is waited for once the job has run; at the first start it is an address that is wrong.
  if (AWAY.has(error.code) && hasRun) return 'rebuild'
  return error.action === 'rebuild' || error.action === 'retry' ? 'rebuild' : 'stop'
}

/** The error of the table that the job stops with. */
export function stopErrorOf(error: unknown, instanceId: string): MillraceError {
  if (error instanceof MillraceError) return error
  const kafka = kafkaErrorOf(error)
  if (kafka === undefined) return epochFailure(error)
  const decision = decideFailure(kafka.failure)
  const code = decision.kind === 'rebuild' ? 'MR4007' : decision.kind === 'ask' ? 'MR4005' : decision.code
  const topic = kafka.failure.topic ?? 'of a row'
  return new MillraceError(code, { instanceId, reason: kafka.message, topic }, { cause: error })
}

/** The error in a few words, for logs. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function kafkaErrorOf(error: unknown): KafkaError | undefined {
  return error instanceof EpochError ? error.kafka : error instanceof KafkaError ? error : undefined
}
