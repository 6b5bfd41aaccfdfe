// Asks a partition again while its leader is being chosen or has not heard of it yet. Main thread.
// Keeps SPEC: KAFKA-9 (a start with topics made just now is no failure).
import { setTimeout } from 'node:timers/promises'
import { KafkaError } from './port.ts'

/** What a broker says that is not the leader, or not yet: of a topic made a moment ago, or when leadership moves. */
const UNSETTLED: ReadonlySet<string> = new Set([
  'NOT_LEADER_FOR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PART',
])
const AGAIN_MS = 50

/**
 * The answer of `ask`, asked again while there is no leader to give it and `timeoutMs` have not passed. Rejects with the
 * last failure then, and with any other at once. `ask` is told how many ms are left.
 *
 * @example
 * await untilLed((leftMs) => driver.watermarks(partition, leftMs), 10_000)
 */
export async function untilLed<T>(ask: (leftMs: number) => Promise<T>, timeoutMs: number): Promise<T> {
  const untilMs = performance.now() + timeoutMs
  for (;;) {
    try {
      return await ask(Math.max(1, Math.ceil(untilMs - performance.now())))
    } catch (error) {
      const isUnsettled = error instanceof KafkaError && UNSETTLED.has(error.failure.name)
      if (!isUnsettled || performance.now() + AGAIN_MS >= untilMs) throw error
    }
    await setTimeout(AGAIN_MS)
  }
}
