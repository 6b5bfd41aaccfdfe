// Cases of the Kafka port: readers and producers outside transactions. Used by port-cases.ts.
// Holds SPEC: KAFKA-6 (a poll never returns records from before an assign), KAFKA-10, NATIVE-2 (no delivery failure is lost).
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { FrameWriter, sourceRecords } from '../../src/core/frame.ts'
import { KafkaError, type PollResult } from '../../src/kafka/port.ts'
import {
  type Bench,
  CALL_MS,
  decoder,
  encoder,
  failureOf,
  frameOf,
  LIMITS,
  pollUntil,
  row,
  take,
  texts,
} from './port-bench.ts'

export function readingCases(bench: Bench): void {
  describe('a reader', () => {
    it('begins where it is told, and again where it is told again', async () => {
      const topic = await bench.topic(1)
      await bench.produce(topic, texts(20))
      const reader = await bench.reader([{ topic, partition: 0, offset: 15 }])
      expect((await take(reader, 5)).map(({ offset }) => offset)).toEqual([15, 16, 17, 18, 19])
      reader.assign([{ topic, partition: 0, offset: 3 }])
      expect((await take(reader, 17))[0]!.offset).toBe(3)
    })

    it('returns nothing from before an assign that came while a poll was out', async () => {
      const topic = await bench.topic(1)
      await bench.produce(topic, texts(2_000))
      const reader = await bench.reader([{ topic, partition: 0, offset: 0 }])
      for (let round = 0; round < 10; round++) {
        const polling = reader.poll({ ...LIMITS, recordsMax: 50 })
        reader.assign([{ topic, partition: 0, offset: 1_900 }])
        const early = (await polling).batches.flatMap((batch) => sourceRecords(batch.frame))
        const records = [...early, ...(await take(reader, 100 - early.length))]
        expect(records.map(({ offset }) => offset)).toEqual(Array.from({ length: 100 }, (_, i) => 1_900 + i))
        reader.assign([{ topic, partition: 0, offset: 0 }])
        expect((await take(reader, 1))[0]!.offset).toBe(0)
      }
    })

    it('keeps to the limits of a poll', async () => {
      const topic = await bench.topic(1)
      await bench.produce(topic, texts(500))
      const reader = await bench.reader([{ topic, partition: 0, offset: 0 }])
      const few = await pollUntil(reader, (result) => result.batches.length > 0, undefined, {
        ...LIMITS,
        recordsMax: 7,
      })
      expect(few.batches[0]!.recordCount).toBeLessThanOrEqual(7)
      const one = await pollUntil(reader, (result) => result.batches.length > 0, undefined, { ...LIMITS, bytesMax: 1 })
      expect(one.batches[0]!.recordCount).toBe(1)
    })

    it('reports the end of each partition, of an empty one too', async () => {
      const topic = await bench.topic(2)
      await bench.produce(topic, texts(4, 0))
      const reader = await bench.reader([
        { topic, partition: 0, offset: 0 },
        { topic, partition: 1, offset: 0 },
      ])
      const ends = new Map<number, number>()
      await pollUntil(
        reader,
        () => ends.size === 2,
        (result) => {
          for (const end of result.ends) ends.set(end.partition, end.offset)
        },
      )
      expect([...ends].sort()).toEqual([
        [0, 4],
        [1, 0],
      ])
    })

    it('leaves paused partitions alone and goes on without a gap', async () => {
      const topic = await bench.topic(2)
      await bench.produce(topic, [...texts(300, 0), ...texts(300, 1)])
      const both = [0, 1].map((partition) => ({ topic, partition, offset: 0 }))
      const reader = await bench.reader(both)
      const offsets: number[][] = [[], []]
      const note = (result: PollResult) => {
        for (const batch of result.batches)
          offsets[batch.partition]!.push(...sourceRecords(batch.frame).map(({ offset }) => offset))
      }
      reader.pause([{ topic, partition: 0 }])
      const small = { ...LIMITS, recordsMax: 20 }
      await pollUntil(reader, () => offsets[1]!.length === 300, note, small)
      expect(offsets[0]).toEqual([])
      reader.resume([{ topic, partition: 0 }])
      await pollUntil(reader, () => offsets[0]!.length >= 100, note, small)
      reader.pause([{ topic, partition: 0 }])
      reader.resume([{ topic, partition: 0 }])
      await pollUntil(reader, () => offsets[0]!.length >= 300, note, small)
      expect(offsets[0]).toEqual(Array.from({ length: 300 }, (_, i) => i))
    })

    it('reads partitions that were paused when they are assigned again', async () => {
      const topic = await bench.topic(2)
      await bench.produce(topic, [...texts(10, 0), ...texts(10, 1)])
      const both = [0, 1].map((partition) => ({ topic, partition, offset: 0 }))
      const reader = await bench.reader(both)
      await take(reader, 20)
      reader.pause(both)
      reader.assign(both.map((one) => ({ ...one, offset: 4 })))
      const offsets = (await take(reader, 12)).map(({ offset }) => offset)
      expect(offsets.sort((a, b) => a - b)).toEqual([4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9])
    })

    it('misses no record that comes while a partition is paused at its end', async () => {
      const topic = await bench.topic(1)
      const reader = await bench.reader([{ topic, partition: 0, offset: 0 }])
      const offsets: number[] = []
      let end = -1
      const until = async (isMet: () => boolean): Promise<void> => {
        if (isMet()) return
        await pollUntil(reader, isMet, ({ batches, ends }) => {
          for (const { frame } of batches) offsets.push(...sourceRecords(frame).map(({ offset }) => offset))
          for (const { offset } of ends) end = offset
        })
      }
      for (let round = 1; round <= 5; round++) {
        await until(() => end === offsets.length)
        reader.pause([{ topic, partition: 0 }])
        await bench.produce(topic, texts(3, 0))
        reader.resume([{ topic, partition: 0 }])
        await until(() => offsets.length >= 3 * round)
      }
      expect(offsets).toEqual(Array.from({ length: 15 }, (_, i) => i))
    })

    it('tells first and next offset, whatever is committed', async () => {
      const topic = await bench.topic(1)
      await bench.produce(topic, texts(3))
      const producer = await bench.transactional()
      await producer.begin()
      await producer.produce(frameOf(texts(2)), [topic])
      await producer.flush(CALL_MS)
      const reader = await bench.reader([])
      expect(await reader.watermarks({ topic, partition: 0 }, CALL_MS)).toEqual({ low: 0, high: 5 })
      await producer.abort(CALL_MS)
    })

    it('tells where a time begins in each partition, and that there is nothing behind the last record', async () => {
      const topic = await bench.topic(2)
      const at = (timestampMs: number, partition: number) => row({ value: 'v', timestampMs, partition })
      await bench.produce(topic, [at(1_000, 0), at(2_000, 0), at(3_000, 0), at(5_000, 1)])
      const reader = await bench.reader([])
      const found = async (timestampMs: number) => {
        const times = [0, 1].map((partition) => ({ topic, partition, timestampMs }))
        const offsets = await reader.offsetsForTimes(times, CALL_MS)
        return [...offsets].sort((a, b) => a.partition - b.partition).map(({ offset }) => offset)
      }
      expect(await found(0)).toEqual([0, 0])
      expect(await found(2_000)).toEqual([1, 0])
      expect(await found(2_001)).toEqual([2, 0])
      expect(await found(5_001)).toEqual([undefined, undefined])
    })

    it('closes at once while a poll waits', async () => {
      const topic = await bench.topic(1)
      const reader = await bench.reader([{ topic, partition: 0, offset: 0 }])
      await pollUntil(reader, (result) => result.ends.length > 0)
      const polling = reader.poll({ ...LIMITS, waitMs: 60_000 }).then(
        () => 'ended',
        (error: unknown) => (error instanceof KafkaError ? 'ended' : error),
      )
      const startMs = performance.now()
      await reader.close()
      expect(await polling).toBe('ended')
      expect(performance.now() - startMs).toBeLessThan(4_000)
      await reader.close()
      expect(await failureOf(reader.poll(LIMITS))).toMatchObject({ name: '_DESTROY' })
    })
  })
}

export function producingCases(bench: Bench): void {
  describe('a producer', () => {
    it('keeps the order of a batch far over the limit of its queue', async () => {
      const topic = await bench.topic(1)
      const producer = await bench.producer({ 'queue.buffering.max.messages': 1_000 })
      await Promise.all([0, 1, 2].map((part) => producer.produce(frameOf(texts(4_000, 0, part * 4_000)), [topic])))
      await producer.flush(CALL_MS)
      const records = await take(await bench.reader([{ topic, partition: 0, offset: 0 }]), 12_000)
      expect(records.map(({ value }) => decoder.decode(value))).toEqual(
        Array.from({ length: 12_000 }, (_, i) => `v${i}`),
      )
      expect(producer.failures()).toEqual([])
    })

    it('tells of a record that its topic refuses, and of that one only', async () => {
      const topic = await bench.topic(2, { 'max.message.bytes': '2000' })
      const producer = await bench.producer()
      const large = { ...row({ key: 'large', partition: 1 }), value: randomBytes(10_000) }
      const failure = await failureOf(
        producer.produce(frameOf([row({ key: 'small', value: 'v' })]), [topic]).then(async () => {
          await producer.produce(frameOf([large]), [topic])
          await producer.flush(CALL_MS)
        }),
      )
      expect(failure).toMatchObject({ name: 'MSG_SIZE_TOO_LARGE', code: 10, topic, partition: 1 })
      const failures = producer.failures()
      expect(failures.map(({ name, key }) => [name, decoder.decode(key)])).toEqual([['MSG_SIZE_TOO_LARGE', 'large']])
      expect(producer.failures()).toEqual([])
      const [small] = await take(await bench.reader([{ topic, partition: 0, offset: 0 }]), 1)
      expect(decoder.decode(small!.value)).toBe('v')
    })

    it('writes to several topics from one frame', async () => {
      const [a, b] = [await bench.topic(1), await bench.topic(1)]
      const producer = await bench.producer()
      const writer = new FrameWriter()
      for (let i = 0; i < 10; i++) writer.append(i % 2, 0, 1_000, undefined, encoder.encode(`v${i}`))
      await producer.produce(writer.take()!, [a, b])
      await producer.flush(CALL_MS)
      const records = await take(await bench.reader([{ topic: b, partition: 0, offset: 0 }]), 5)
      expect(records.map(({ value }) => decoder.decode(value))).toEqual(['v1', 'v3', 'v5', 'v7', 'v9'])
    })
  })
}
