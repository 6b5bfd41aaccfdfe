// Faults for simulations on memory-kafka: calls that take time, deliveries that fail, answers that are lost.
import { kafkaError } from '../../src/kafka/memory-kafka/failure.ts'
import type { MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import type { VirtualTime } from '../../src/testing/virtual-time.ts'

const CALL_MS_MAX = 5
const DOOMED_SHARE = 0.02

/**
 * From now on calls take time, so that the next epoch is computed while one is committed; one flush or commit in fifty
 * fails, and of one in fifty the answer is lost. `stop` takes that back.
 *
 * @example
 * const faults = failCalls(kafka, time, seeded(1))
 * faults.stop()
 */
export function failCalls(kafka: MemoryKafka, time: VirtualTime, random: () => number): { stop(): void } {
  const isDoomed = (call: string): boolean => (call === 'flush' || call === 'commit') && random() < DOOMED_SHARE
  kafka.faults.before = async ({ call }) => {
    if (call === 'poll') return undefined
    await time.sleep(Math.floor(random() * CALL_MS_MAX))
    if (isDoomed(call)) throw kafkaError('KAFKA_STORAGE_ERROR', 'injected', { requiresAbort: true })
    return undefined
  }
  kafka.faults.after = ({ call }) => {
    if (isDoomed(call)) throw kafkaError('_TIMED_OUT', 'the answer is lost', { requiresAbort: true })
  }
  return {
    stop() {
      kafka.faults.before = undefined
      kafka.faults.after = undefined
    },
  }
}
