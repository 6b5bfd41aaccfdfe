// Filled gaps where other things happen too: results that throw, the end of the input in the middle of a frame. Holds SPEC: EMIT-3, R4, R9.
import { count, custom, job, kafka, last, msgpack, tumbling } from 'millrace'
import { pack, unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import { CARRIED_BYTES, CARRIED_MARKER, CARRIED_RECORD, CarriedPrefix } from '../../src/core/carried.ts'
import { FrameWriter } from '../../src/core/frame.ts'
import { Lane } from '../../src/lane/lane.ts'
import { drive, LIMITS } from './lane-driver.ts'

interface Tick {
  key: string
  ts: number
  value: number
}
const tick = (key: string, ts: number, value: number) => ({ key, value: { key, ts, value } })

/** A record, or a marker, as it comes through a repartition topic. */
function carried(watermarkMs: number, timeMs: number, value?: Tick): Uint8Array {
  const prefix = new CarriedPrefix()
  Object.assign(prefix, { watermarkMs, eventTimeMs: timeMs, eventIndex: -1, keyBytes: -1 })
  prefix.kind = value === undefined ? CARRIED_MARKER : CARRIED_RECORD
  const body = value === undefined ? new Uint8Array(0) : pack(value)
  const bytes = new Uint8Array(CARRIED_BYTES + body.length)
  prefix.write(new DataView(bytes.buffer), 0)
  bytes.set(body, CARRIED_BYTES)
  return bytes
}

test('records behind the end of the input, in one frame with it, are late, and nothing is filled beyond the last window', async () => {
  const filled = job('g')
    .from(kafka('in', { value: msgpack<Tick>(), eventTime: 'ts' }))
    .keyBy('key')
    .window('w', tumbling('10ms'))
    .aggregate({ n: count() }, { gapFill: { for: '25ms' } })
    .to(kafka('out', { value: msgpack() }), { emit: 'updates' })
    .build()
  const setup = { lane: 0, jobUrl: '', stateDir: undefined, instanceId: 't', limits: LIMITS }
  const lane = new Lane(
    filled,
    { ...setup, messageBytesMax: [], writtenPartitions: [], partitionCounts: [1, 1] },
    { nowMs: () => 0 },
  )
  const task = { taskId: '1_0', attempt: 0 }
  await lane.handle({ op: 'open', sub: 1, ...task, partition: 0, changelogTopicId: 'c', changelogLow: 0 })
  await lane.handle({ op: 'ready', ...task, position: undefined, inputOffset: 0 })
  const writer = new FrameWriter()
  const key = new TextEncoder().encode('a')
  writer.appendSource(0, 0, key, carried(5, 5, { key: 'a', ts: 5, value: 1 }))
  writer.appendSource(1, 0, undefined, carried(Number.POSITIVE_INFINITY, 5))
  writer.appendSource(2, 0, key, carried(Number.POSITIVE_INFINITY, 6, { key: 'a', ts: 6, value: 1 }))
  const answer = await lane.handle({ op: 'frame', ...task, epoch: 0, frame: writer.take(0, 3, 3)! })
  // The row of the first record, early and final.
  expect(answer).toMatchObject({ op: 'frame', counts: { in: 2, accepted: 1, late: 1, results: 2 } })
})

test('a window whose result cannot be read is a dead letter, and no window without records', async () => {
  const filled = job('g')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts' }))
    .keyBy('key')
    .window('w', tumbling('10ms'))
    .aggregate(
      {
        price: last('value'),
        total: custom<Tick, number, number>({
          init: () => 0,
          add: (state, { value }) => state + value,
          result: (state) => {
            if (state === 13) throw new RangeError('unlucky')
            return state
          },
        }),
      },
      { gapFill: { for: '15ms', fill: { price: 'last' } } },
    )
    .to(kafka('out', { value: msgpack() }))
    .build()
  const { rows } = await drive(filled, [tick('a', 1, 5), tick('a', 11, 13), tick('b', 41, 1)])
  const out = rows.filter(({ topic }) => topic === 'out').map(({ value }) => unpack(value!) as Record<string, unknown>)
  expect(out.map(({ key, windowStart, price, total }) => [key, windowStart, price, total])).toEqual([
    ['a', 0, 5, 5],
    // [10, 20) is the dead letter; what is filled then is the last that could be read.
    ['a', 20, 5, null],
    ['b', 40, 1, 1],
  ])
  expect(rows.filter(({ topic }) => topic === 'g-dlq')).toHaveLength(1)
})
