// A reset whose calls fail, or that is killed, at every step: the job is at the old place or at the new one, never between.
// Holds SPEC: RESET-1.
import { describe, expect, test } from 'vitest'
import type { FaultCall, FaultPoint } from '../../src/kafka/memory-kafka/faults.ts'
import { KafkaError } from '../../src/kafka/port.ts'
import { startMemoryJob } from '../harness/memory-job.ts'
import {
  CHANGELOG,
  committedOffsets,
  lastMarkers,
  liveKeys,
  partitions,
  reset,
  resettableJob,
  SumFeed,
  VIEW_TOPIC,
} from '../harness/reset-in-memory.ts'

const job = resettableJob()
const turn = () => new Promise((resolve) => setTimeout(resolve, 1))

function fault(name: string): KafkaError {
  const flags = { isFatal: false, isRetriable: false, requiresAbort: false }
  return new KafkaError({ code: -1, name, message: 'injected', ...flags })
}

/** A job that has committed all and left its group. */
async function stopped(seed: number): Promise<SumFeed> {
  const feed = new SumFeed(seed)
  feed.append(200)
  const started = await startMemoryJob({ kafka: feed.kafka, job, untilEnd: false })
  while (!partitions.every((p) => committedOffsets(feed.kafka)[p] === feed.kafka.offsets('trades', p).high))
    await turn()
  started.engine.stop()
  await started.done
  return feed
}

/** What a reset moves together. */
function stateOf(feed: SumFeed) {
  const { kafka } = feed
  return {
    offsets: committedOffsets(kafka),
    markers: lastMarkers(kafka).map((marker) => marker?.inputOffset),
    rows: liveKeys(kafka, CHANGELOG).length,
    view: liveKeys(kafka, VIEW_TOPIC).length,
  }
}

const NEW = { offsets: [0, 0, 0], markers: [0, 0, 0], rows: 0, view: 0 }

/** Every kind of call that a reset makes, and by whom; the first and a later one of those that it makes often. */
const steps: [call: FaultCall, client: string, count: number][] = [
  ['describe', 'admin', 1],
  ['groupMembers', 'admin', 1],
  ['poll', 'candles', 1],
  ['initTransactions', 'candles-reset', 1],
  ['committed', 'candles', 1],
  ['watermarks', 'reader', 1],
  ['watermarks', 'reader', 9],
  ['poll', 'reader', 1],
  ['poll', 'reader', 3],
  ['begin', 'candles-reset', 1],
  ['sendOffsets', 'candles-reset', 1],
  ['produce', 'candles-reset', 1],
  ['produce', 'candles-reset', 2],
  ['flush', 'candles-reset', 1],
  ['commit', 'candles-reset', 1],
]

/** Counts calls of a kind from here on, since those of the job's own run count too. */
function watch(call: FaultCall, client: string, count: number): (point: FaultPoint) => boolean {
  let seen = 0
  return (point) => point.call === call && point.client === client && ++seen === count
}

/** The job after whatever happened: every row of its input is there as often as its state says. */
async function runsOn(feed: SumFeed, isReset: boolean): Promise<void> {
  const from = feed.sinkEnds()
  await (await startMemoryJob({ kafka: feed.kafka, job })).done
  if (isReset) expect(feed.rows(from)).toEqual(feed.expected())
  else expect(feed.rows()).toEqual(feed.expected())
}

describe.each([
  ['fails before it is applied', 'before'],
  ['is applied and its answer is lost', 'after'],
  ['times out and arrives late', 'late'],
] as const)('a call that %s', (_, shape) => {
  // An answer of the broker that is late is one that never came; a late change is another thing.
  const concerned = shape === 'late' ? steps.filter(([, client]) => client === 'candles-reset') : steps
  test.each(concerned)('%s of %s, number %i: old place or new place, and the job goes on', async (...step) => {
    const feed = await stopped(31)
    const old = stateOf(feed)
    const { faults } = feed.kafka
    const isHit = watch(...step)
    let arrive = () => {}
    if (shape === 'after') {
      faults.after = (point) => {
        if (isHit(point)) throw fault('_TIMED_OUT')
      }
    } else {
      faults.before = (point) => {
        if (!isHit(point)) return undefined
        if (shape === 'before') throw fault('_TRANSPORT')
        return { lateUntil: new Promise<void>((resolve) => (arrive = resolve)) }
      }
    }
    const outcome = await reset(feed.kafka, 'earliest').then(
      () => 'done',
      (error: unknown) => (error as { code?: string }).code,
    )
    faults.before = undefined
    faults.after = undefined
    arrive()
    await turn()
    // The answer of the first poll of the group may be lost when all is done: the rebalance is told without it too.
    const isTooLate = shape === 'after' && step[0] === 'poll' && step[1] === 'candles' && outcome === 'done'
    if (!isTooLate) expect(outcome).toBe('MR4022')
    const isReset = isTooLate || (shape === 'after' && step[0] === 'commit')
    expect(stateOf(feed)).toEqual(isReset ? NEW : old)
    expect(feed.kafka.openTransactions()).toEqual([])
    await runsOn(feed, isReset)
  })
})

// A rebalance is told without a poll too: the first one may come back when all is done.
const deaths = steps.filter(([call, client]) => call !== 'poll' || client !== 'candles')

describe('a reset that is killed', () => {
  test.each(deaths)(
    'behind %s of %s, number %i: the job waits for the end of its transaction and goes on',
    async (...step) => {
      const feed = await stopped(32)
      const old = stateOf(feed)
      const { faults } = feed.kafka
      const isHit = watch(...step)
      let isDead = false
      faults.before = () => {
        if (isDead) throw fault('_TRANSPORT')
        return undefined
      }
      faults.after = (point) => {
        isDead ||= isHit(point)
        if (isDead) throw fault('_TRANSPORT')
      }
      await expect(reset(feed.kafka, 'earliest')).rejects.toMatchObject({ code: 'MR4022' })
      faults.before = undefined
      faults.after = undefined
      const isReset = step[0] === 'commit'
      const isOpen = feed.kafka.openTransactions().length > 0
      expect(isOpen).toBe(['sendOffsets', 'produce', 'flush'].includes(step[0]))
      expect(stateOf(feed)).toEqual(isReset ? NEW : old)
      const from = feed.sinkEnds()
      const started = await startMemoryJob({ kafka: feed.kafka, job, limits: { callMs: 50, attemptsMax: 1_000 } })
      if (isOpen) {
        while (started.engine.status !== 'restoring state') await turn()
        expect(started.engine.isRunning).toBe(false)
        // As the time-out of the transaction does it.
        const successor = await feed.kafka.openProducer({ transactionalId: 'candles-reset' })
        await successor.initTransactions(1_000)
      }
      await started.done
      if (isReset) expect(feed.rows(from)).toEqual(feed.expected())
      else expect(feed.rows()).toEqual(feed.expected())
    },
  )

  test('leaves nothing that the next reset does not end', async () => {
    const feed = await stopped(33)
    const { faults } = feed.kafka
    const isHit = watch('flush', 'candles-reset', 1)
    let isDead = false
    faults.before = (point) => {
      isDead ||= isHit(point)
      if (isDead) throw fault('_TRANSPORT')
      return undefined
    }
    await expect(reset(feed.kafka, 'earliest')).rejects.toMatchObject({ code: 'MR4022' })
    faults.before = undefined
    expect(feed.kafka.openTransactions()).toEqual(['candles-reset'])
    await reset(feed.kafka, 'earliest')
    expect(stateOf(feed)).toEqual(NEW)
    await runsOn(feed, true)
  })
})
