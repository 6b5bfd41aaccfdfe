// A job of three topics as a process on a real Kafka: two that are keyed alike and one that moves to their key, joined, through a
// kill -9, to the end, and again after a reset. Holds SPEC: JOIN-1, JOIN-5.
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import { partitionOfKey } from '../../src/core/murmur2.ts'
import { BrokerJob } from '../harness/broker-job.ts'
import type { CommandProcess } from '../harness/command-process.ts'

const PARTITIONS = 3
const ORDERS = 12_000
const START_MS = 1_760_000_000_000
const CALL_MS = 30_000
const encoder = new TextEncoder()

let rig: BrokerJob
beforeEach(() => {
  rig = new BrokerJob('joins', inject('brokers'))
})
afterEach(() => rig.end())

/** Payments have no key of their own: they move to that of the orders. */
function jobText({ name }: BrokerJob): string {
  return `import { job, json, kafka, stream } from 'millrace'
    type Order = { id: string; n: number; ts: number }
    type Payment = { order: string; amount: number; ts: number }
    const times = { eventTime: 'ts', outOfOrder: '1s', idleAfter: '500ms', maxPast: '30d' } as const
    const shipments = stream(kafka('${name}-shipments', { value: json<Order>(), key: 'id', ...times })).keyBy('id')
    const payments = stream(kafka('${name}-payments', { value: json<Payment>(), ...times })).keyBy('order')
    export default job('${name}')
      .from(kafka('${name}-orders', { value: json<Order>(), key: 'id', ...times }))
      .keyBy('id')
      .join('shipped', shipments, { within: { after: '5s' }, type: 'left' }, (order, shipment) => ({
        id: order.id, n: order.n, shipped: shipment?.n ?? null,
      }))
      .join('paid', payments, { within: '20s', type: 'left' }, (order, payment) => ({
        ...order, paid: payment?.amount ?? null,
      }))
      .to(kafka('${name}-out', { value: json() }))`
}

/** Orders, some shipped, some paid, each stream somewhat out of order. Gives the rows that must come out. */
async function load(): Promise<string[]> {
  const writer = new FrameWriter()
  const send = (topic: number, key: string | undefined, ts: number, value: object): void => {
    const keyBytes = key === undefined ? undefined : encoder.encode(key)
    const partition = keyBytes === undefined ? ts % PARTITIONS : partitionOfKey(keyBytes, PARTITIONS)
    writer.append(topic, partition, ts, keyBytes, encoder.encode(JSON.stringify({ ...value, ts })))
  }
  const rows: string[] = []
  for (let n = 0; n < ORDERS; n++) {
    const id = `o${n}`
    const ts = START_MS + n * 20 - ((n * 37) % 900)
    const [isShipped, isPaid] = [n % 5 > 0, n % 3 > 0]
    send(0, id, ts, { id, n })
    if (isShipped) send(1, id, ts + 1_000 + (n % 7) * 100, { id, n })
    if (isPaid) send(2, undefined, ts + 2_000 - (n % 11) * 100, { order: id, amount: n * 3 })
    rows.push(JSON.stringify({ id, n, shipped: isShipped ? n : null, paid: isPaid ? n * 3 : null }))
  }
  await rig.send(writer, ['orders', 'shipments', 'payments'])
  return rows.sort()
}

const run = (...more: string[]): CommandProcess => rig.run(jobText(rig), '--lanes', '2', ...more)
const partitions = () => Array.from({ length: PARTITIONS }, (_, partition) => partition)

/** Rows of the sink from these offsets on, sorted, as they are committed. */
const rows = async (from: readonly number[] = [0, 0, 0]): Promise<string[]> => (await rig.values('out', from)).sort()

async function endsOfSink(): Promise<number[]> {
  const { kafka, name } = rig
  const reader = await kafka.openReader({})
  const marks = partitions().map((partition) => reader.watermarks({ topic: `${name}-out`, partition }, CALL_MS))
  const ends = (await Promise.all(marks)).map(({ high }) => high)
  await reader.close()
  return ends
}

test('each order has its one row through a kill -9 in the middle, and again after a reset of all topics', async () => {
  await rig.makeTopics({ orders: PARTITIONS, shipments: PARTITIONS, payments: PARTITIONS })
  const expected = await load()
  const first = run('--limits-poll-records-max', '200', '--commit-catch-up-ms', '20')
  await first.saying(/ready in/)
  const written = async (): Promise<number> => (await endsOfSink()).reduce((total, high) => total + high, 0)
  await expect.poll(written, { timeout: CALL_MS }).toBeGreaterThan(500)
  first.child.kill('SIGKILL')
  await first.exit()
  expect((await rows()).length).toBeLessThan(ORDERS)
  const second = run('--until-end')
  expect(await second.exit(), second.stderr).toBe(0)
  expect(second.json()).toMatchObject({ late: 0, dead: 0 })
  expect(await rows()).toEqual(expected)

  const from = await endsOfSink()
  const reset = rig.command('reset', jobText(rig), '--to', 'earliest')
  expect(await reset.exit(), reset.stderr).toBe(0)
  const records = ORDERS + ORDERS * 0.8 + (ORDERS / 3) * 2
  expect(reset.json()).toMatchObject({ recordsSkipped: 0 })
  expect((reset.json().partitions as { topic: string }[]).map(({ topic }) => topic).sort()).toEqual(
    ['orders', 'payments', 'shipments'].flatMap((topic) => partitions().map(() => `${rig.name}-${topic}`)),
  )
  const third = run('--until-end')
  expect(await third.exit(), third.stderr).toBe(0)
  expect(third.json()).toMatchObject({ records, late: 0, dead: 0 })
  expect(await rows(from)).toEqual(expected)
})

test('topics that meet with other partitions are refused by name', async () => {
  await rig.makeTopics({ orders: PARTITIONS, shipments: 2, payments: 1 })
  const refused = run('--until-end')
  expect(await refused.exit()).toBe(1)
  expect(refused.json()).toMatchObject({ error: { code: 'MR4036' } })
  expect(refused.stderr).toContain(`${rig.name}-orders and ${rig.name}-shipments`)
})
