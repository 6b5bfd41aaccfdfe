// The cases that every implementation of the Kafka port passes: run on memory-kafka by the quick suite, and on a real
// broker, with the addon and without, by the integration suite.
// Holds SPEC: FRAME-1, FRAME-2, KAFKA-1, KAFKA-2, KAFKA-3, KAFKA-4, KAFKA-6, NATIVE-2.
import { afterEach } from 'vitest'
import { Bench, type PortSubject } from './port-bench.ts'
import { producingCases, readingCases } from './port-cases-clients.ts'
import { adminCases, groupCases } from './port-cases-groups.ts'
import { recordCases } from './port-cases-records.ts'
import { transactionCases } from './port-cases-transactions.ts'

export type { PortSubject }

export function portCases(subject: PortSubject): void {
  const bench = new Bench(subject)
  afterEach(() => bench.closeAll())
  recordCases(subject, bench)
  readingCases(bench)
  producingCases(bench)
  transactionCases(subject, bench)
  groupCases(subject, bench)
  adminCases(subject, bench)
}
