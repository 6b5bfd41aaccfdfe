// Which suspended tasks go on, and which are closed.
// Holds SPEC: GROUP-1.
import { expect, test } from 'vitest'
import type { LaneRequest } from '../../src/core/message.ts'
import type { Flusher } from '../../src/engine/flusher.ts'
import { OpenTasks } from '../../src/engine/open-tasks.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { Ownership } from '../../src/engine/ownership.ts'
import type { TaskState } from '../../src/engine/task-state.ts'
import { systemClock } from '../../src/ops/system-clock.ts'
import { candlesJob } from '../harness/trades-in-memory.ts'

const of = (...numbers: number[]) => numbers.map((partition) => ({ topic: 'trades', partition }))
const since = (map: ReadonlyMap<string, number>): string => [...map].map(([key, from]) => `${key} ${from}`).join(', ')

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

test('a suspended task is resumed only when it has been ours ever since, and closed otherwise', async () => {
  const sent: string[] = []
  const engine = {
    plan: candlesJob().plan,
    clock: systemClock,
    lanes: {
      count: 1,
      send: async (_lane: number, request: LaneRequest) => {
        sent.push(`${request.op} ${'taskId' in request ? request.taskId : ''}`)
      },
    },
    log: { info() {}, warn() {}, error() {} },
  } as unknown as EngineOptions
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
