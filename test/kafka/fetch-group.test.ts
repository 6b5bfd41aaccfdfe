// The port's cases for a group consumer that fetches through several clients, on memory-kafka; and what only it has to hold.
// Holds SPEC: KAFKA-6 (a poll never returns records from before an assign), KAFKA-8 (partitions are shared out, none twice).
import { afterEach, describe, expect, it } from 'vitest'
import { sourceRecords } from '../../src/core/frame.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import type { Kafka } from '../../src/kafka/port.ts'
import { FetchGroup } from '../../src/kafka/rdkafka/fetch-group.ts'
import { Bench, LIMITS, pollUntil, texts } from './port-bench.ts'
import { groupCases } from './port-cases-groups.ts'

function widened(kafka: Kafka): Kafka {
  return {
    kind: kafka.kind,
    abandonedClients: () => kafka.abandonedClients(),
    openReader: (options) => kafka.openReader(options),
    openProducer: (options) => kafka.openProducer(options),
    openAdmin: () => kafka.openAdmin(),
    async openConsumer(options) {
      return new FetchGroup(await kafka.openConsumer(options), [await kafka.openReader({}), await kafka.openReader({})])
    },
  }
}

describe('a group consumer with two fetching clients', () => {
  const subject = {
    open: () => widened(createMemoryKafka()),
    hasOffsetMetadata: true,
    hasBinaryHeaders: true,
    hasTopicDetails: true,
    hasGroupMembers: true,
  }
  const bench = new Bench(subject)
  afterEach(() => bench.closeAll())
  groupCases(subject, bench)

  it('reads every partition once, each in order', async () => {
    const topic = await bench.topic(5)
    for (let partition = 0; partition < 5; partition++) await bench.produce(topic, texts(100, partition))
    const { consumer } = await bench.member(topic, 5)
    const offsets: number[][] = [[], [], [], [], []]
    consumer.assign([0, 1, 2, 3, 4].map((partition) => ({ topic, partition, offset: 0 })))
    await pollUntil(
      consumer,
      () => offsets.every((seen) => seen.length >= 100),
      ({ batches }) => {
        for (const { partition, frame } of batches) {
          offsets[partition]!.push(...sourceRecords(frame).map(({ offset }) => offset))
        }
      },
      { ...LIMITS, recordsMax: 7 },
    )
    for (const seen of offsets) expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  it('drops what a client has read and nobody asked for, when it is assigned anew', async () => {
    const topic = await bench.topic(2)
    const { consumer } = await bench.member(topic, 2)
    const ends = new Set<number>()
    // The polls of the join may have told an end already: it is told again.
    consumer.assign([0, 1].map((partition) => ({ topic, partition, offset: 0 })))
    const long = { ...LIMITS, waitMs: 10_000 }
    await pollUntil(
      consumer,
      () => ends.size === 2,
      (result) => {
        for (const { partition } of result.ends) ends.add(partition)
      },
    )
    // Partition 0 ends this poll; the client of partition 1 waits on, and what it gets then is asked for by no poll.
    const polling = pollUntil(consumer, ({ batches }) => batches.length > 0, undefined, long)
    await bench.produce(topic, texts(1, 0))
    await polling
    await bench.produce(topic, texts(3, 1))
    await new Promise((resolve) => setImmediate(resolve))
    consumer.assign([1, 2].map((offset, partition) => ({ topic, partition, offset })))
    const offsets: number[] = []
    await pollUntil(
      consumer,
      (result) => result.ends.some(({ partition }) => partition === 1),
      ({ batches }) => {
        for (const { frame } of batches) offsets.push(...sourceRecords(frame).map(({ offset }) => offset))
      },
    )
    expect(offsets).toEqual([2])
  })
})
