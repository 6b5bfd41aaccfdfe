// Cases of the Kafka port: transactions, offsets in them, fencing. Used by port-cases.ts.
// Holds SPEC: KAFKA-1 (read committed only), KAFKA-2 (offsets ride in the transaction), KAFKA-4 (fencing).
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { KafkaError } from '../../src/kafka/port.ts'
import {
  type Bench,
  CALL_MS,
  decoder,
  failureOf,
  frameOf,
  type PortSubject,
  row,
  take,
  texts,
  transact,
  valuesToEnd,
} from './port-bench.ts'

export function transactionCases(subject: PortSubject, bench: Bench): void {
  describe('a transaction', () => {
    it('is seen when it is committed, and never when it is aborted', async () => {
      const topic = await bench.topic(1)
      const producer = await bench.transactional()
      await transact(producer, topic, ['a1', 'a2'], 'commit')
      await transact(producer, topic, ['b1'], 'abort')
      await transact(producer, topic, ['c1'], 'commit')
      const start = [{ topic, partition: 0, offset: 0 }]
      expect(await valuesToEnd(await bench.reader(start))).toEqual(['a1', 'a2', 'c1'])
      expect(await valuesToEnd(await bench.reader(start, true))).toEqual(['a1', 'a2', 'b1', 'c1'])
    })

    it('holds its records and the end back while it is open', async () => {
      const topic = await bench.topic(1)
      const producer = await bench.transactional()
      await transact(producer, topic, ['a'], 'commit')
      await producer.begin()
      await producer.produce(frameOf([row({ value: 'open' })]), [topic])
      await producer.flush(CALL_MS)
      const reader = await bench.reader([{ topic, partition: 0, offset: 0 }])
      expect(await valuesToEnd(reader)).toEqual(['a'])
      await producer.commit(CALL_MS)
      expect((await take(reader, 1)).map(({ value }) => decoder.decode(value))).toEqual(['open'])
    })

    it('carries offsets, with their metadata, and takes them back when it is aborted', async () => {
      const topic = await bench.topic(2)
      const { consumer, group } = await bench.member(topic, 2)
      const producer = await bench.transactional()
      await producer.begin()
      await producer.produce(frameOf([row({ value: 'x' })]), [topic])
      await producer.sendOffsets([{ topic, partition: 0, offset: 42, metadata: 'epoch 7 ü' }], group, CALL_MS)
      await producer.commit(CALL_MS)
      await producer.begin()
      await producer.produce(frameOf([row({ value: 'x' })]), [topic])
      await producer.sendOffsets([{ topic, partition: 0, offset: 99 }], group, CALL_MS)
      await producer.abort(CALL_MS)
      expect(
        await consumer.committed(
          [0, 1].map((partition) => ({ topic, partition })),
          CALL_MS,
        ),
      ).toEqual([
        { topic, partition: 0, offset: 42, metadata: subject.hasOffsetMetadata ? 'epoch 7 ü' : '' },
        { topic, partition: 1, offset: undefined, metadata: '' },
      ])
      group.release()
    })

    it('of a producer whose id was taken over fails as fenced', async () => {
      const topic = await bench.topic(1)
      const id = `tx-${randomUUID()}`
      const old = await bench.transactional(id)
      await old.begin()
      await old.produce(frameOf([row({ value: 'zombie' })]), [topic])
      await old.flush(CALL_MS)
      const heir = await bench.transactional(id)
      await transact(heir, topic, ['heir'], 'commit')
      const error = await old.commit(CALL_MS).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(KafkaError)
      expect((error as KafkaError).isFenced).toBe(true)
      expect(await valuesToEnd(await bench.reader([{ topic, partition: 0, offset: 0 }]))).toEqual(['heir'])
    })

    it('refuses a membership that was let go', async () => {
      const topic = await bench.topic(1)
      const { group } = await bench.member(topic, 1)
      const producer = await bench.transactional()
      await producer.begin()
      group.release()
      const sent = producer.sendOffsets([{ topic, partition: 0, offset: 1 }], group, CALL_MS)
      expect(await failureOf(sent)).toMatchObject({ name: '_INVALID_ARG' })
      await producer.abort(CALL_MS)
    })

    it('that is not begun refuses records and a commit', async () => {
      const topic = await bench.topic(1)
      const producer = await bench.transactional()
      expect(await failureOf(producer.produce(frameOf(texts(1)), [topic]))).toMatchObject({ name: '_STATE' })
      expect(await failureOf(producer.commit(CALL_MS))).toMatchObject({ name: '_STATE' })
    })
  })
}
