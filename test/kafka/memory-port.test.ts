// The port's cases on memory-kafka: it is held to what a real broker does.
import { describe } from 'vitest'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { portCases } from './port-cases.ts'

describe('memory-kafka', () => {
  portCases({
    open: () => createMemoryKafka(),
    hasOffsetMetadata: true,
    hasBinaryHeaders: true,
    hasTopicDetails: true,
    hasGroupMembers: true,
  })
})
