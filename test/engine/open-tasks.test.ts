// Which suspended tasks go on, and which are closed.
// Holds SPEC: GROUP-1.
import { expect, test } from 'vitest'
import type { LaneRequest } from '../../src/core/message.ts'
import type { Flusher } from '../../src/engine/flusher.ts'
import { OpenTasks } from '../../src/engine/open-tasks.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { Ownership } from '../../src/engine/ownership.ts'
import type { TaskState } from '../../src/engine/task-state.ts'
import { job, kafka, msgpack, stream } from '../../src/index.ts'
import type { Plan } from '../../src/job/plan.ts'
import { systemClock } from '../../src/ops/system-clock.ts'
import { candlesJob } from '../harness/trades-in-memory.ts'

const of = (...numbers: number[]) => numbers.map((partition) => ({ topic: 'trades', partition }))
const since = (map: ReadonlyMap<string, number>): string => [...map].map(([key, from]) => `${key} ${from}`).join(', ')

function engineOf(plan: Plan): { engine: EngineOptions; sent: string[] } {
  const sent: string[] = []
  const send = async (_lane: number, request: LaneRequest) => {
    sent.push(`${request.op} ${'taskId' in request ? request.taskId : ''}`)
  }
  const log = { info() {}, warn() {}, error() {} }
  return { engine: { plan, clock: systemClock, lanes: { count: 1, send }, log } as unknown as EngineOptions, sent }
}

test('a partition is ours since the generation that gave it, as long as no generation was missed', () => {
  const ownership = new Ownership()
  expect(since(ownership.assigned(7, of(0, 1, 2)))).toBe('trades/0 7, trades/1 7, trades/2 7')
  expect(since(ownership.assigned(8, of(0, 1)))).toBe('trades/0 7, trades/1 7')
  expect(since(ownership.assigned(9, of(0, 1, 2)))).toBe('trades/0 7, trades/1 7, trades/2 9')
  expect(since(ownership.assigned(9, of(0, 1, 2)))).toBe('trades/0 7, trades/1 7, trades/2 9')
  expect(since(ownership.assigned(11, of(0, 1)))).toBe('trades/0 11, trades/1 11')
  ownership.lost()
  expect(since(ownership.assigned(12, of(0)))).toBe('trades/0 12')
  expect(since(ownership.assigned(3, of(0)))).toBe('trades/0 3')
})

/** Two topics that meet. */
const pairs = job('pairs')
  .from(kafka('left', { value: msgpack<{ id: string }>(), key: 'id' }))
  .keyBy('id')
  .join(
    'pair',
    stream(kafka('right', { value: msgpack<{ id: string }>(), key: 'id' })).keyBy('id'),
    { within: '1s' },
    (l) => l,
  )
  .to(kafka('out'))
  .build()

test('tasks that keep one state are resumed together or not at all', async () => {
  const { engine, sent } = engineOf(pairs.plan)
  const tasks = new OpenTasks(engine)
  const task = (sub: number, partition: number) => {
    const topic = ['left', 'right'][sub]!
    return { taskId: `${sub}_${partition}`, topic, partition, lane: 0, committedOffset: 5 } as TaskState
  }
  const all = [0, 1, 2].flatMap((partition) => [task(0, partition), task(1, partition)])
  tasks.suspend(all, 7, { attempt: 1, openEpoch: 4, committedEpoch: 3 })
  // The offset of one topic of partition 1 was moved; one of partition 2 is somebody else's now.
  const partitions = all.filter(({ taskId }) => taskId !== '0_2')
  const resumed = await tasks.resume({
    attempt: 2,
    partitions,
    since: new Map(partitions.map(({ topic, partition }) => [`${topic}/${partition}`, 7])),
    committed: async () => (one) => (one.topic === 'right' && one.partition === 1 ? 4 : 5),
    flusher: { flushGone: async () => {} } as unknown as Flusher,
  })
  expect(resumed.map(({ taskId }) => taskId)).toEqual(['0_0', '1_0'])
  expect(sent.sort()).toEqual(['close 0_1', 'close 0_2', 'close 1_1', 'close 1_2', 'resume 0_0', 'resume 1_0'])
})

test('a suspended task is resumed only when it has been ours ever since, and closed otherwise', async () => {
  const { engine, sent } = engineOf(candlesJob().plan)
  const flushed: string[] = []
  const flusher = { flushGone: async (task: TaskState) => void flushed.push(task.taskId) } as unknown as Flusher
  const tasks = new OpenTasks(engine)
  const task = (partition: number) =>
    ({ taskId: `0_${partition}`, topic: 'trades', partition, lane: 0, committedOffset: 5 }) as TaskState
  const moment = { attempt: 1, openEpoch: 4, committedEpoch: 3 }
  tasks.suspend([task(0), task(1), task(2)], 7, moment)
  const resumed = await tasks.resume({
    attempt: 2,
    partitions: of(0, 1),
    // Partition 1 was somebody else's in generation 8, though its offset is the same.
    since: new Map([
      ['trades/0', 7],
      ['trades/1', 9],
    ]),
    committed: async () => () => 5,
    flusher,
  })
  expect(resumed.map(({ taskId }) => taskId)).toEqual(['0_0'])
  expect(sent.sort()).toEqual(['close 0_1', 'close 0_2', 'resume 0_0'])
  expect(flushed).toEqual(['0_1', '0_2'])
})
