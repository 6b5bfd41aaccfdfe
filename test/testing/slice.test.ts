// Slices of topics: what is captured replays byte for byte, where it was. Holds SPEC: TEST-6.
import { job, json, kafka } from 'millrace'
import { readSlice, type SliceRecord, sliceLine, testJob } from 'millrace/test'
import { expect, test } from 'vitest'
import runningSum from '../../examples/running-sum/job.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { capture } from '../../src/testing/capture.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)

/** Bytes that no text or format would survive, a null value, no key, headers of one name, one without a value. */
const RECORDS: SliceRecord[] = [
  {
    ...{ topic: 'raw', partition: 1, offset: 41, timestampMs: 1_700_000_000_000 },
    ...{ key: bytes(0, 255, 128), value: bytes(0xc1, 0, 10, 13), headers: [{ name: 'h', value: bytes(0xff) }] },
  },
  {
    ...{ topic: 'raw', partition: 1, offset: 43, timestampMs: 5 },
    ...{ key: undefined, value: undefined },
    headers: [
      { name: 'h', value: undefined },
      { name: 'h', value: bytes() },
    ],
  },
  {
    ...{ topic: 'raw', partition: 0, offset: 7, timestampMs: 6, headers: [] },
    ...{ key: bytes(), value: new TextEncoder().encode('{"n":1}') },
  },
]

test('lines say the records that they were made of', () => {
  const text = RECORDS.map(sliceLine).join('\n')
  expect(readSlice(`${text}\n\n`)).toEqual(RECORDS)
})

test.each([
  ['{', 'line 1 is no record of a slice: SyntaxError'],
  ['{"topic":"t"}', 'encoding is not base64'],
  [sliceLine(RECORDS[0]!).replace('41', '-1'), 'offset -1 is no whole number'],
  [`${sliceLine(RECORDS[0]!)}\n${sliceLine(RECORDS[1]!).replace('"key":null', '"key":5')}`, 'line 2'],
])('a line that is none is refused: %s', (text, words) => {
  expect(() => readSlice(text)).toThrow(words)
})

test('what is captured from a topic are its committed records, from an offset on, as many as asked for', async () => {
  const broker = createMemoryKafka({ topics: { raw: 2 } })
  for (const record of RECORDS) broker.append('raw', record)
  const from = (offset: number) => ({ topic: 'raw', partition: 1, offset })
  const captured = async (offset: number, records: number) => {
    const found: SliceRecord[] = []
    for await (const one of capture(broker, { from: from(offset), records, callMs: 1_000 })) found.push(one)
    return found
  }
  expect(await captured(0, 10)).toEqual(RECORDS.slice(0, 2))
  expect(await captured(42, 10)).toEqual([RECORDS[1]])
  expect(await captured(0, 1)).toEqual([RECORDS[0]])
})

test('a slice replays byte for byte: what is dead of it says where it was, with the bytes it had', async () => {
  const t = testJob(
    job('x')
      .from(kafka('raw', { value: json<{ n: number }>() }))
      .filter(['n'], (n) => n > 0)
      .to(kafka('out', { value: json() })),
    { partitions: 2 },
  )
  t.replay(RECORDS.map(sliceLine).join('\n'))
  await t.flush()
  const dead = t.dead().sort((a, b) => a.source!.offset - b.source!.offset)
  expect(dead).toMatchObject([
    { code: 'MR2001', bytes: RECORDS[0]!.value, timestampMs: 1_700_000_000_000 },
    { code: 'MR2011', bytes: undefined, timestampMs: 5, key: undefined },
  ])
  expect(dead.map(({ source }) => source)).toEqual([
    { topic: 'raw', partition: 1, offset: 41 },
    { topic: 'raw', partition: 1, offset: 43 },
  ])
  expect(t.outputs('out')).toMatchObject([{ key: '', value: { n: 1 }, timestampMs: 6 }])
})

test('a slice of another topic, another partition or from before the end of its partition is refused', async () => {
  const t = testJob(runningSum)
  const [first] = RECORDS
  expect(() => t.replay([first!])).toThrow('the job reads orders, not raw')
  expect(() => t.replay([{ ...first!, topic: 'orders' }])).toThrow('partition 1 is not one of 1')
  const at = (offset: number) => ({ ...first!, topic: 'orders', partition: 0, offset })
  t.replay([at(9)])
  await t.flush()
  t.replay([at(9)])
  await expect(t.flush()).rejects.toThrow('orders/0 is at 10 already')
})
