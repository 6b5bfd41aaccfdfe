// Connects a client of node-rdkafka: it has the answer of a broker then, or gave up in time or when told. Main thread.
// Keeps SPEC: STOP-1 (a start that waits for a broker can be stopped).
import { MillraceError } from '../../core/errors.ts'
import { KafkaError } from '../port.ts'
import { closedError, failureOf, type RdkafkaError } from './failure.ts'
import type { RdClient } from './node-rdkafka.ts'

export interface Connecting {
  brokers: string
  /** How long the first answer of a broker is waited for; default 30 s. */
  connectMs: number | undefined
  /** Ends the wait. */
  stopping: AbortSignal | undefined
}

const CONNECT_MS_DEFAULT = 30_000
/**
 * node-rdkafka asks in a thread of libuv's pool, and a process cannot end while one is in a call. So the broker is asked in
 * turns: a stop, and the end of the process, wait for one of them at most. A broker that takes longer for one answer than
 * this is of no use to a job.
 */
const TURN_MS = 2_000

/** @throws MR4001 when no broker answers in time, KafkaError `_DESTROY` when it is told to stop */
export function connect(client: RdClient, { brokers, connectMs, stopping }: Connecting): Promise<void> {
  const limitMs = connectMs ?? CONNECT_MS_DEFAULT
  if (stopping?.aborted) return Promise.reject(closedError())
  askInTurns(client, limitMs, stopping)
  return new Promise((resolve, reject) => {
    client.connect({ allTopics: false, timeout: limitMs }, (error) => {
      if (!error) resolve()
      else if (stopping?.aborted) reject(closedError())
      else if (isAway(error)) reject(new MillraceError('MR4001', { brokers, waitedMs: limitMs }))
      else reject(new KafkaError(failureOf(error)))
    })
  })
}

/** Puts the turns in the place of the one question that `connect` of node-rdkafka asks; the client is itself again after it. */
function askInTurns(client: RdClient, limitMs: number, stopping: AbortSignal | undefined): void {
  const ask = client.getMetadata
  const untilMs = performance.now() + limitMs
  client.getMetadata = (options, done) => {
    const turnMs = Math.min(TURN_MS, Math.max(1, Math.ceil(untilMs - performance.now())))
    ask.call(client, { ...options, timeout: turnMs }, (error, metadata) => {
      const isOver = !error || !isAway(error) || stopping?.aborted || performance.now() >= untilMs
      if (!isOver) return client.getMetadata(options, done)
      client.getMetadata = ask
      done(error, metadata)
    })
  }
}

function isAway(error: RdkafkaError): boolean {
  const { name } = failureOf(error)
  return name === '_TRANSPORT' || name === '_TIMED_OUT'
}
