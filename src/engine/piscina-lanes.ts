// Lanes as Piscina workers: one pool a lane with one thread, so that a task stays on its lane and a lane's own event loop
// runs (LMDB commits need it). Main thread; the only user of piscina.
// Keeps SPEC: LANE-2 (order), LANE-3 (a dead worker is a reopen of its tasks, never silence).

import { Piscina } from 'piscina'
import type { LaneAnswer, LaneRequest, LaneSetup } from '../core/message.ts'
import { type AnswerTo, type Lanes, laneFailure, unwrapAnswer } from './lanes.ts'

export interface PiscinaLanesOptions {
  /** URL of the built worker, dist/workers/lane.js. */
  workerUrl: string
  setups: LaneSetup[]
  /** Old-generation heap of a lane, MB. */
  heapMegabytesMax: number
}

/** Requests a lane may hold unanswered; the engine's byte budget binds long before. */
const REQUESTS_IN_FLIGHT_MAX = 4096

/** The buffers that travel with a request. */
function transferOf(request: LaneRequest): ArrayBuffer[] {
  if (request.op === 'global') return request.frame === undefined ? [] : [request.frame]
  return request.op === 'frame' || request.op === 'restore' ? [request.frame] : []
}

function openPool(options: PiscinaLanesOptions, setup: LaneSetup): Piscina<LaneRequest, LaneAnswer> {
  return new Piscina({
    filename: options.workerUrl,
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: REQUESTS_IN_FLIGHT_MAX,
    atomics: 'disabled',
    recordTiming: false,
    workerData: setup,
    execArgv: ['--enable-source-maps'],
    resourceLimits: { maxOldGenerationSizeMb: options.heapMegabytesMax },
  })
}

/** Starts one worker a setup. They load the job module at their first request. */
export function piscinaLanes(options: PiscinaLanesOptions): Lanes {
  const pools = options.setups.map((setup) => openPool(options, setup))
  return {
    count: pools.length,
    async send<R extends LaneRequest>(lane: number, request: R): Promise<AnswerTo<R>> {
      const pool = pools[lane]
      if (pool === undefined) throw new RangeError(`there is no lane ${lane}`)
      let answer: LaneAnswer
      try {
        answer = await pool.run(request, { transferList: transferOf(request) })
      } catch (cause) {
        throw laneFailure(lane, cause)
      }
      return unwrapAnswer(request, answer)
    },
    async close() {
      await Promise.all(pools.map((pool) => pool.destroy()))
    },
  }
}
