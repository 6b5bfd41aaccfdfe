// The engine's side of the lanes: send a request to a lane, get its answer. Main thread.
// Two ways to run them: Piscina workers (piscina-lanes.ts) and in the calling thread (inlineLanes, for tests and the
// simulation). Keeps SPEC: LANE-2 (a lane starts requests in the order they were sent).

import { MillraceError } from '../core/errors.ts'
import type { LaneAnswer, LaneRequest, LaneResponse } from '../core/message.ts'

/** The answer type that belongs to a request type. */
export type AnswerTo<R extends LaneRequest> = Extract<LaneResponse, { op: R['op'] }>

export interface Lanes {
  readonly count: number
  /**
   * Sends a request; its ArrayBuffer moves with it. Rejects with a MillraceError: what the lane said, or MR6004 when the
   * lane itself died (its tasks are gone and must be reopened).
   */
  send<R extends LaneRequest>(lane: number, request: R): Promise<AnswerTo<R>>
  close(): Promise<void>
}

/** Turns an answer into its response or throws what the lane reported. */
export function unwrapAnswer<R extends LaneRequest>(request: R, answer: LaneAnswer): AnswerTo<R> {
  if (answer.op === 'failed') throw MillraceError.fromData(answer.error)
  if (answer.op !== request.op) throw new TypeError(`a lane answered ${answer.op} to ${request.op}`)
  return answer as AnswerTo<R>
}

/** The failure of a lane as the error the supervisor acts on. */
export function laneFailure(lane: number, cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new MillraceError('MR6004', { lane, reason }, { cause })
}

/** Something that handles lane requests: the Lane class, without naming it. */
export interface LaneHandler {
  handle(request: LaneRequest): LaneAnswer | Promise<LaneAnswer>
}

/**
 * Lanes that run in the calling thread, one request at a time and in order.
 *
 * @example
 * const lanes = inlineLanes([new Lane(setup)])
 */
export function inlineLanes(handlers: readonly LaneHandler[]): Lanes {
  return {
    count: handlers.length,
    async send(lane, request) {
      const handler = handlers[lane]
      if (handler === undefined) throw new RangeError(`there is no lane ${lane}`)
      let answer: LaneAnswer
      try {
        answer = await handler.handle(request)
      } catch (cause) {
        throw laneFailure(lane, cause)
      }
      return unwrapAnswer(request, answer)
    },
    async close() {},
  }
}
