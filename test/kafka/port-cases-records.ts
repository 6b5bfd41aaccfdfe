// Cases of the Kafka port: what goes into a record comes out of it, where Java would put it. Used by port-cases.ts.
// Holds SPEC: FRAME-1 (what goes in comes out), FRAME-2 (frames can be handed to another thread), KAFKA-3 (murmur2).
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FrameRecord, FrameView, sourceRecords } from '../../src/core/frame.ts'
import { partitionOfKey } from '../../src/core/murmur2.ts'
import {
  type Bench,
  CALL_MS,
  decoder,
  encoder,
  frameOf,
  type PortSubject,
  pollUntil,
  type Row,
  row,
  take,
  texts,
} from './port-bench.ts'

export function recordCases(subject: PortSubject, bench: Bench): void {
  describe('records', () => {
    it('come out as they went in, whatever is in them', async () => {
      const topic = await bench.topic(3)
      const producer = await bench.producer()
      const positions = [0, 0, 0]
      await fc.assert(
        fc.asyncProperty(
          fc.array(rowArbitrary(subject.hasBinaryHeaders), { minLength: 1, maxLength: 200 }),
          async (rows) => {
            await producer.produce(frameOf(rows), [topic])
            await producer.flush(CALL_MS)
            for (let partition = 0; partition < 3; partition++) {
              const expected = rows.filter((row) => row.partition === partition)
              const reader = await bench.reader([{ topic, partition, offset: positions[partition]! }])
              const records = await take(reader, expected.length)
              expect(records.map(plain)).toEqual(
                expected.map((row, i) => plain({ ...row, offset: positions[partition]! + i })),
              )
              positions[partition]! += expected.length
              await reader.close()
            }
          },
        ),
        { numRuns: 6, seed: 20_261_124 },
      )
    })

    it('keep a null value, an empty value, a null key and an empty key apart', async () => {
      const topic = await bench.topic(1)
      const empty = new Uint8Array()
      const rows: Row[] = [
        row({ key: 'k', value: undefined }),
        { ...row({ key: 'k' }), value: empty },
        { ...row({ value: 'v' }), key: undefined },
        { ...row({ value: 'v' }), key: empty },
      ]
      await bench.produce(topic, rows)
      const records = await take(await bench.reader([{ topic, partition: 0, offset: 0 }]), 4)
      expect(records.map(({ value }) => value?.length)).toEqual([undefined, 0, 1, 1])
      expect(records.map(({ key }) => key?.length)).toEqual([1, 1, undefined, 0])
    })

    it('without a partition go where Java puts their key', async () => {
      const topic = await bench.topic(7)
      const keys = [
        '21',
        'foobar',
        'a-little-bit-long-string',
        'abc',
        ...Array.from({ length: 200 }, (_, i) => `key-${i}`),
      ]
      await bench.produce(
        topic,
        keys.map((key) => row({ key, value: key, partition: -1 })),
      )
      const reader = await bench.reader(Array.from({ length: 7 }, (_, partition) => ({ topic, partition, offset: 0 })))
      const found = new Map<string, number>()
      await pollUntil(
        reader,
        () => found.size === keys.length,
        (result) => {
          for (const batch of result.batches)
            for (const { key } of sourceRecords(batch.frame)) found.set(decoder.decode(key), batch.partition)
        },
      )
      // Java's own hashes of the first four, from its tests.
      const hashes = [-973932308, -790332482, -985981536, 479470107]
      for (const [i, hash] of hashes.entries()) expect(found.get(keys[i]!)).toBe((hash & 0x7fffffff) % 7)
      for (const key of keys) expect(found.get(key)).toBe(partitionOfKey(encoder.encode(key), 7))
    })

    it('come in frames that can be handed to another thread, with their partition, position and end', async () => {
      const topic = await bench.topic(2)
      await bench.produce(topic, texts(5, 1))
      const reader = await bench.reader([{ topic, partition: 1, offset: 2 }])
      const [batch] = (await pollUntil(reader, (result) => result.batches.length > 0)).batches
      const frame = structuredClone(batch!.frame, { transfer: [batch!.frame] })
      expect(batch!.frame.byteLength).toBe(0)
      const view = new FrameView(frame)
      expect(view).toMatchObject({
        recordCount: 3,
        partition: 1,
        nextOffset: 5,
        highWatermark: 5,
        usedBytes: batch!.bytes,
      })
      expect(batch).toMatchObject({ topic, partition: 1, recordCount: 3, nextOffset: 5 })
    })

    it('of an unset time are stamped by the client', async () => {
      const topic = await bench.topic(1)
      const before = Date.now()
      await bench.produce(topic, [row({ value: 'now', timestampMs: -1 })])
      const [record] = await take(await bench.reader([{ topic, partition: 0, offset: 0 }]), 1)
      expect(record!.timestampMs).toBeGreaterThanOrEqual(before - 1_000)
      expect(record!.timestampMs).toBeLessThanOrEqual(Date.now() + 1_000)
    })
  })
}

function rowArbitrary(hasBinaryHeaders: boolean): fc.Arbitrary<Row> {
  const bytes = fc.uint8Array({ maxLength: 40 })
  const text = fc.stringMatching(/^[a-z]{0,8}$/).map((value) => encoder.encode(value))
  const header = fc.record({
    name: fc.stringMatching(/^[a-z]{1,3}$/),
    value: hasBinaryHeaders ? fc.option(bytes, { nil: undefined }) : text,
  })
  return fc.record({
    key: fc.option(bytes, { nil: undefined, freq: 4 }),
    value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined, freq: 4 }),
    headers: fc.array(header, { maxLength: 4 }),
    timestampMs: fc.integer({ min: 1, max: 1_700_000_000_000 }),
    partition: fc.nat(2),
  })
}

/** A record in a form that compares well. */
function plain({ key, value, headers, timestampMs, offset }: Omit<FrameRecord, never>) {
  const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? null : Buffer.from(bytes).toString('hex'))
  return {
    offset,
    timestampMs,
    key: text(key),
    value: text(value),
    headers: headers.map((header) => [header.name, text(header.value)]),
  }
}
