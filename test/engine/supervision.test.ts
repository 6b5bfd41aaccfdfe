// What happens to a job between its attempts: clients that die, partitions that stand still, a stop, other processes.
// Holds SPEC: EPOCH-2, EPOCH-3, RECOVER-5, LANE-1, R4 (the end of the input is fixed once a run), STOP-1.
import { expect, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import { kafkaError } from '../../src/kafka/memory-kafka/failure.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { type MemoryJob, startMemoryJob } from '../harness/memory-job.ts'
import { candlesJob, PARTITIONS, TradeFeed } from '../harness/trades-in-memory.ts'

const job = candlesJob()
const CHANGELOG = 'candles-changelog'
const turn = () => new Promise((resolve) => setImmediate(resolve))
const partitionsOf = (count: number): number[] => Array.from({ length: count }, (_, partition) => partition)

/** A promise and what fulfils it. */
function gate(): { isOpen: Promise<undefined>; open: () => void } {
  let open = (): void => {}
  const isOpen = new Promise<undefined>((resolve) => {
    open = () => resolve(undefined)
  })
  return { isOpen, open }
}

/** Waits for a condition; throws what ends the job before. */
async function until(isMet: () => boolean, ...runs: MemoryJob[]): Promise<void> {
  const ends = runs.map((run) =>
    run.done.then(() => {
      throw new Error('the job ended')
    }),
  )
  while (!isMet()) await Promise.race([turn(), ...ends])
  for (const end of ends) end.catch(() => {})
}

function scene(seed: number, recordCount: number): { kafka: MemoryKafka; feed: TradeFeed } {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  const feed = new TradeFeed(kafka, seed)
  feed.append(recordCount)
  return { kafka, feed }
}

function appendTrades(kafka: MemoryKafka, count: number): void {
  const ts = Date.now()
  for (let i = 0; i < count; i++) {
    const value = JSON.stringify({ sym: 'S0', price: 1, qty: 1, ts })
    kafka.append('trades', { key: 'S0', value, partition: 0, timestampMs: ts })
  }
}

const committedOf = (kafka: MemoryKafka, partition: number): number =>
  kafka.committedOffset('candles', 'trades', partition).offset ?? 0

test('a consumer that is fenced while tasks are restored ends the run, though no poll comes any more', async () => {
  const { kafka } = scene(61, 300)
  const asked = gate()
  let isRestoring = false
  let isFenced = false
  kafka.faults.before = ({ call, client }) => {
    if (client !== 'one') return undefined
    if (call === 'watermarks') {
      isRestoring = true
      return asked.isOpen
    }
    if (call !== 'poll' || !isRestoring) return undefined
    isFenced = true
    throw kafkaError('FENCED_INSTANCE_ID', 'another process joined as one')
  }
  const run = await startMemoryJob({ kafka, job, untilEnd: false })
  await until(() => isFenced, run)
  await turn()
  asked.open()
  await expect(run.done).rejects.toMatchObject({ code: 'MR4005' })
  expect(partitionsOf(PARTITIONS).map((partition) => committedOf(kafka, partition))).toEqual([0, 0, 0])
})

test('input that is deleted under a running job ends the attempt, and the next one says what is lost', async () => {
  const { kafka } = scene(62, 600)
  let polls = 0
  kafka.faults.before = ({ call, client }) => {
    if (call !== 'poll' || client !== 'one' || committedOf(kafka, 0) === 0 || ++polls !== 3) return undefined
    for (const partition of partitionsOf(PARTITIONS)) {
      kafka.deleteRecordsBefore('trades', partition, kafka.offsets('trades', partition).high)
    }
    return undefined
  }
  const run = await startMemoryJob({ kafka, job, limits: { pollRecordsMax: 5 } })
  await expect(run.done).rejects.toMatchObject({ code: 'MR4010', details: { topic: 'trades' } })
  expect(run.rebuilds).toEqual([expect.stringContaining('_AUTO_OFFSET_RESET')])
})

test('a changelog that is deleted while it is read ends the attempt, and the next one says that rows are missing', async () => {
  const { kafka } = scene(63, 600)
  await (await startMemoryJob({ kafka, job })).done
  kafka.faults.before = ({ call, client }) => {
    if (call !== 'poll' || client !== 'reader') return undefined
    kafka.faults.before = undefined
    for (const partition of partitionsOf(PARTITIONS)) {
      kafka.deleteRecordsBefore(CHANGELOG, partition, kafka.offsets(CHANGELOG, partition).high)
    }
    return undefined
  }
  const run = await startMemoryJob({ kafka, job })
  await expect(run.done).rejects.toMatchObject({ code: 'MR5004' })
  expect(run.rebuilds).toEqual([expect.stringContaining('_AUTO_OFFSET_RESET')])
})

test('an input topic that is made anew under a running job stops it', async () => {
  const { kafka } = scene(64, 300)
  const run = await startMemoryJob({ kafka, job, untilEnd: false })
  const isThere = (partition: number): boolean =>
    committedOf(kafka, partition) === kafka.offsets('trades', partition).high
  await until(() => partitionsOf(PARTITIONS).every(isThere), run)
  await (await kafka.openAdmin()).delete(['trades'], 1_000)
  kafka.createTopic('trades', PARTITIONS)
  await expect(run.done).rejects.toMatchObject({ code: 'MR4012', details: { topic: 'trades', high: 0 } })
})

test('a stop is heard while a restore waits for the transaction of somebody else', async () => {
  const { kafka } = scene(65, 600)
  await (await startMemoryJob({ kafka, job })).done
  const foreign = await kafka.openProducer({ transactionalId: 'foreign', transactionTimeoutMs: 60_000 })
  await foreign.initTransactions(1_000)
  await foreign.begin()
  const writer = new FrameWriter()
  writer.append(0, 0, Date.now(), new TextEncoder().encode('key'), new Uint8Array(1))
  await foreign.produce(writer.take()!, [CHANGELOG])
  let polls = 0
  kafka.faults.before = ({ call, client }) => {
    if (call === 'poll' && client === 'reader') polls++
    return undefined
  }
  const run = await startMemoryJob({ kafka, job, untilEnd: false })
  await until(() => polls === 3, run)
  expect(run.engine.status).toBe('restoring state')
  run.engine.stop()
  expect(run.engine.status).toBe('stopping')
  await run.done
  expect(run.rebuilds).toEqual([])
  await foreign.close()
}, 5_000)

test('the end of the input that was fixed at the start stays where it was over a recovery', async () => {
  const { kafka } = scene(66, 1_000)
  const ends = partitionsOf(PARTITIONS).map((partition) => kafka.offsets('trades', partition).high)
  let commits = 0
  kafka.faults.before = ({ call }) => {
    if (call !== 'commit' || ++commits !== 3) return undefined
    appendTrades(kafka, 100)
    throw kafkaError('_TIMED_OUT', 'injected', { requiresAbort: true })
  }
  const run = await startMemoryJob({ kafka, job, limits: { pollRecordsMax: 20 } })
  await run.done
  expect(run.rebuilds).toHaveLength(1)
  expect(partitionsOf(PARTITIONS).map((partition) => committedOf(kafka, partition))).toEqual(ends)
})

test('a standby without partitions takes over when the process that had them is gone', async () => {
  const kafka = createMemoryKafka({ topics: { trades: 1 } })
  const active = await startMemoryJob({ kafka, job, untilEnd: false, instanceId: 'a' })
  const standby = await startMemoryJob({ kafka, job, untilEnd: false, instanceId: 'b' })
  await until(() => active.engine.tasks.length === 1 && standby.engine.isRunning, active, standby)
  expect(standby.engine.tasks).toEqual([])
  appendTrades(kafka, 10)
  await until(() => committedOf(kafka, 0) === 10, active, standby)
  active.engine.stop()
  await active.done
  appendTrades(kafka, 10)
  await until(() => committedOf(kafka, 0) === 20, standby)
  expect(standby.engine.tasks).toHaveLength(1)
  standby.engine.stop()
  await standby.done
})

test('an assignment that follows another without a revoke, in the middle of an opening, does not end the run', async () => {
  const kafka = createMemoryKafka({ topics: { trades: 1 } })
  const active = await startMemoryJob({ kafka, job, untilEnd: false, instanceId: 'a' })
  await until(() => active.engine.isRunning, active)
  const asked = gate()
  let isOpening = false
  kafka.faults.before = ({ call, client }) => {
    if (call !== 'committed' || client !== 'b' || isOpening) return undefined
    isOpening = true
    return asked.isOpen
  }
  const standby = await startMemoryJob({ kafka, job, untilEnd: false, instanceId: 'b' })
  await until(() => isOpening, active, standby)
  // A third one makes the group assign anew; the standby, which has nothing, is not asked to let go.
  const third = gate()
  const other = await kafka.openConsumer({
    groupId: 'candles',
    instanceId: 'c',
    topics: ['trades'],
    listener: { onAssign: third.open, onRevoke: () => {} },
  })
  await third.isOpen
  asked.open()
  await until(() => standby.engine.isRunning, active, standby)
  await other.close()
  kafka.expireSession('candles', 'c')
  active.engine.stop()
  await active.done
  appendTrades(kafka, 10)
  await until(() => committedOf(kafka, 0) === 10, standby)
  standby.engine.stop()
  await standby.done
})

test('a standby of a run to the end of the input has nothing to do and ends', async () => {
  const kafka = createMemoryKafka({ topics: { trades: 1 } })
  const active = await startMemoryJob({ kafka, job, untilEnd: false, instanceId: 'a' })
  await until(() => active.engine.isRunning, active)
  const standby = await startMemoryJob({ kafka, job, untilEnd: true, instanceId: 'b' })
  await standby.done
  active.engine.stop()
  await active.done
})
