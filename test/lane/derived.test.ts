// Records that an operator made, on their way when the request that they are of fails. Holds SPEC: LANE-1, COUNT-1.
import { unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import { job, kafka, msgpack, stream, sum } from '../../src/index.ts'
import { LaneDriver } from './lane-driver.ts'

test('what an operator had made goes with the request that failed, and is made anew', async () => {
  let isBroken = true
  const source = kafka('in', { value: msgpack<{ key: string; n: number }>(), key: 'key' })
  const doubled = job('twice')
    .from(source)
    .keyBy('key')
    .merge(stream(source).keyBy('key'))
    .map((one) => ({
      key: one.key,
      get n(): number {
        if (isBroken) throw new Error('broken')
        return one.n
      },
    }))
    .aggregate({ total: sum('n') })
    .to(kafka('out'), { emit: 'updates' })
  const driver = new LaneDriver(doubled.build())
  await driver.open()
  const records = [1, 2].map((n) => ({ key: 'a', value: { key: 'a', n } }))
  await expect(driver.send(records)).rejects.toMatchObject({ code: 'MR6004' })
  isBroken = false
  await driver.open()
  const { counts } = await driver.send(records)
  expect(counts).toMatchObject({ in: 2, expanded: 6, accepted: 8 })
  expect(driver.rows.map(({ value }) => (unpack(value!) as { total: number }).total)).toEqual([1, 2, 4, 6])
  await driver.close()
})
