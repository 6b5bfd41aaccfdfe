// Lanes that answer each at its own pace: one is at the next epoch while another still is at this one.
// Holds SPEC: EPOCH-4, EPOCH-5, LANE-2 (an answer behind the seal of its epoch).
import { json, job as newJob, kafka as topic } from 'millrace'
import { expect, test } from 'vitest'
import type { LaneRequest, LaneResponse } from '../../src/core/message.ts'
import type { Lanes } from '../../src/engine/lanes.ts'
import { kafkaError } from '../../src/kafka/memory-kafka/failure.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { seeded } from '../../src/testing/seeded.ts'
import { lanesOf, type MemoryJob, startMemoryJob } from '../harness/memory-job.ts'
import { candlesJob, PARTITIONS, TradeFeed } from '../harness/trades-in-memory.ts'

/** Partition 0 is of lane 0, partition 1 of lane 1; each record is one result. */
const copies = newJob('copies')
  .from(topic('in', { value: json<{ id: string; text: string }>(), key: 'id' }))
  .to(topic('rows', { value: json() }))
  .build()
const turn = () => new Promise((resolve) => setImmediate(resolve))

interface Slowness {
  /** An answer of lane 1 to this request goes out when this resolves; those behind it wait with it. */
  before: (request: LaneRequest) => Promise<void>
  /** An answer of lane 0 has gone out. */
  onQuick?: (response: LaneResponse) => void
  /** Answers may overtake each other, as no worker's do. */
  isUnordered?: boolean
}

/** Lane 1 works at once and answers late, in its own order. */
function slowed(lanes: Lanes, { before, onQuick, isUnordered = false }: Slowness): Lanes {
  let last: Promise<unknown> = Promise.resolve()
  return {
    count: lanes.count,
    close: () => lanes.close(),
    async send(lane, request) {
      const answer = lanes.send(lane, request)
      answer.catch(() => {}) // whoever sent it has the error, later
      if (lane === 0) {
        onQuick?.(await answer)
        return answer
      }
      last = (isUnordered ? Promise.resolve() : last).then(() => before(request))
      await last
      return answer
    },
  }
}

/** At each commit as many rows are to be seen as records are done with. */
function watchCommits(kafka: MemoryKafka): { rows: number; records: number }[] {
  const commits: { rows: number; records: number }[] = []
  const sum = (of: (partition: number) => number): number => of(0) + of(1)
  kafka.faults.after = ({ call }) => {
    if (call !== 'commit') return
    const rows = sum((partition) => kafka.log('rows', partition).length)
    commits.push({ rows, records: sum((partition) => kafka.committedOffset('copies', 'in', partition).offset ?? 0) })
  }
  return commits
}

/** Appends to partition 0 until the condition holds. */
async function appendUntil(run: MemoryJob, kafka: MemoryKafka, text: string, isMet: () => boolean): Promise<void> {
  for (let i = 0; !isMet(); i++) {
    kafka.append('in', {
      key: `0-${i}`,
      value: JSON.stringify({ id: `0-${i}`, text }),
      partition: 0,
    })
    for (let turns = 0; turns < 5; turns++) await Promise.race([turn(), run.done])
  }
}

async function stopWhenDone(run: MemoryJob, kafka: MemoryKafka): Promise<void> {
  const isDone = (partition: number): boolean =>
    (kafka.committedOffset('copies', 'in', partition).offset ?? 0) === kafka.offsets('in', partition).high
  while (!isDone(0) || !isDone(1)) await Promise.race([turn(), run.done])
  run.engine.stop()
  await run.done
}

function ids(kafka: MemoryKafka, name: 'in' | 'rows'): string[] {
  const records = [...kafka.log(name, 0), ...kafka.log(name, 1)]
  return records.map(({ value }) => (JSON.parse(new TextDecoder().decode(value)) as { id: string }).id).sort()
}

function newKafka(): MemoryKafka {
  const kafka = createMemoryKafka({ topics: { in: 2, rows: 2 } })
  kafka.append('in', { key: '1-0', value: JSON.stringify({ id: '1-0', text: '' }), partition: 1 })
  return kafka
}

test('a result that comes behind those of the next epoch is committed with its own, and outlives the next one failing', async () => {
  const kafka = newKafka()
  const commits = watchCommits(kafka)
  let slowEpoch = Number.MAX_SAFE_INTEGER
  let release = (): void => {}
  const isOvertaken = new Promise<void>((resolve) => (release = resolve))
  let overtakenBy: number | undefined
  const slowness: Slowness = {
    before: async (request) => {
      if (request.op !== 'frame' || overtakenBy !== undefined) return
      slowEpoch = request.epoch
      await isOvertaken
    },
    onQuick: (response) => {
      if (response.op !== 'frame' || response.epoch <= slowEpoch || overtakenBy !== undefined) return
      overtakenBy = response.epoch
      // The rest of the turn belongs to the answer that overtakes.
      setImmediate(release)
    },
  }
  // The first commit after that is of the slow epoch, the second of the one that overtook it.
  let commitsSince = 0
  kafka.faults.before = ({ call }) => {
    if (call !== 'commit' || overtakenBy === undefined || ++commitsSince !== 2) return undefined
    throw kafkaError('_TIMED_OUT', 'injected', { requiresAbort: true })
  }
  const run = await startMemoryJob({
    kafka,
    job: copies,
    untilEnd: false,
    makeLanes: (setups) => slowed(lanesOf(copies, setups), slowness),
  })
  await appendUntil(run, kafka, '', () => overtakenBy !== undefined)
  await stopWhenDone(run, kafka)
  expect(overtakenBy).toBe(slowEpoch + 1)
  expect(commits.filter(({ rows, records }) => rows !== records)).toEqual([])
  expect(run.rebuilds).toHaveLength(1)
  expect(ids(kafka, 'rows')).toEqual(ids(kafka, 'in'))
})

test('however many results of the next epoch come while a lane is still to seal this one, they wait', async () => {
  const kafka = newKafka()
  const commits = watchCommits(kafka)
  let sealedEpoch = Number.MAX_SAFE_INTEGER
  let waitingBytes = 0
  let isEnough = false
  let release = (): void => {}
  const areMany = new Promise<void>((resolve) => (release = resolve))
  const slowness: Slowness = {
    before: async (request) => {
      if (request.op !== 'seal' || isEnough) return
      sealedEpoch = request.epoch
      await areMany
    },
    onQuick: (response) => {
      if (response.op !== 'frame' || response.epoch <= sealedEpoch) return
      waitingBytes += response.out?.byteLength ?? 0
      // More than what is sent before an epoch ends, and some more answers for it to be noticed.
      if (waitingBytes < 500_000 || isEnough) return
      isEnough = true
      setImmediate(release)
    },
  }
  const run = await startMemoryJob({
    kafka,
    job: copies,
    untilEnd: false,
    makeLanes: (setups) => slowed(lanesOf(copies, setups), slowness),
  })
  await appendUntil(run, kafka, 'x'.repeat(20_000), () => isEnough)
  await stopWhenDone(run, kafka)
  expect(commits.filter(({ rows, records }) => rows !== records)).toEqual([])
  expect(run.rebuilds).toEqual([])
  expect(ids(kafka, 'rows')).toEqual(ids(kafka, 'in'))
})

test('an answer that comes behind the seal of its epoch ends the attempt', async () => {
  const kafka = newKafka()
  let release = (): void => {}
  const isSealed = new Promise<void>((resolve) => (release = resolve))
  let heldEpoch: number | undefined
  const slowness: Slowness = {
    isUnordered: true,
    before: async (request) => {
      if (request.op === 'seal' && request.epoch === heldEpoch) setImmediate(release)
      if (request.op !== 'frame' || heldEpoch !== undefined) return
      heldEpoch = request.epoch
      await isSealed
    },
  }
  const run = await startMemoryJob({
    kafka,
    job: copies,
    untilEnd: false,
    makeLanes: (setups) => slowed(lanesOf(copies, setups), slowness),
  })
  await appendUntil(run, kafka, '', () => run.rebuilds.length > 0)
  expect(run.rebuilds).toEqual([expect.stringMatching(/lane 1 answered work of epoch \d+ after its seal/)])
  run.engine.stop()
  await run.done
})

test.each([1, 2])('a slow lane of two and commits that fail, seed %i: every row is there once', async (seed) => {
  const job = candlesJob()
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  const feed = new TradeFeed(kafka, seed)
  feed.append(3_000)
  const random = seeded(seed)
  let faults = 8
  kafka.faults.before = ({ call }) => {
    // The first always fails: on a busy machine there are few commits.
    if (call !== 'commit' || faults === 0 || (faults < 8 && random() > 0.3)) return undefined
    faults--
    throw kafkaError('_TIMED_OUT', 'injected', { requiresAbort: true })
  }
  const before = async (request: LaneRequest): Promise<void> => {
    if (request.op !== 'frame' && request.op !== 'seal') return
    for (let turns = Math.floor(random() * 30); turns > 0; turns--) await turn()
  }
  const run = await startMemoryJob({
    kafka,
    job,
    limits: { pollRecordsMax: 10 },
    makeLanes: (setups) => slowed(lanesOf(job, setups), { before }),
  })
  await run.done
  expect(run.rebuilds.length).toBeGreaterThan(0)
  expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
})
