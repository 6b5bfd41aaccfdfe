// The worker thread of a lane: Piscina calls it with each request. The lane itself is in src/lane.
// Runs on a lane.
// Keeps SPEC: LANE-2 (requests start in the order they came: the lane is made before the first of them).

import { workerData } from 'node:worker_threads'
import { move, transferableSymbol, valueSymbol } from 'piscina'
import { type ErrorData, MillraceError } from '../src/core/errors.ts'
import type { LaneAnswer, LaneRequest, LaneSetup } from '../src/core/message.ts'
import { compiledJobOf } from '../src/job/compiled-job.ts'
import { Lane } from '../src/lane/lane.ts'

const setup = workerData as LaneSetup
const lane = await openLane()

/** The lane, or why the job module gives none: then every request is answered with that. */
async function openLane(): Promise<Lane | ErrorData> {
  try {
    const { default: exported } = (await import(setup.jobUrl)) as { default: unknown }
    return new Lane(compiledJobOf(exported, setup.jobUrl), setup, { nowMs: Date.now })
  } catch (error) {
    if (error instanceof MillraceError) return error.toData()
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return new MillraceError('MR1005', { file: setup.jobUrl, reason }).toData()
  }
}

/** The buffers of an answer: they are handed over, not copied. */
function buffersOf(answer: LaneAnswer): ArrayBuffer[] {
  switch (answer.op) {
    case 'frame':
    case 'idle':
    case 'end':
      return [answer.out, answer.recycled].filter((buffer) => buffer !== undefined)
    case 'seal':
      return answer.out === undefined ? [] : [answer.out]
    default:
      return []
  }
}

export default async function handle(request: LaneRequest): Promise<unknown> {
  if (!(lane instanceof Lane)) return { op: 'failed', error: lane } satisfies LaneAnswer
  // The lane starts the request before anything is awaited, so requests start in the order they came.
  const answer = await lane.handle(request)
  return move({ [transferableSymbol]: buffersOf(answer), [valueSymbol]: answer } as never)
}
