// A function of the job as the lane calls it. The builder has checked that it is one; what it takes is the plan's word.
// Runs on a lane.
// Keeps SPEC: PLAN-1 (a thread whose module gives another number of functions has another job).

import { MillraceError } from '../core/errors.ts'
import type { CompiledJob } from '../job/plan.ts'

export type JobFunction = (...args: unknown[]) => unknown

/** The n-th function of a job. Throws MR1002 when the job module of this thread has no such function. */
export function jobFunction(job: CompiledJob, index: number): JobFunction {
  const fn = job.functions[index]
  if (typeof fn !== 'function') {
    throw new MillraceError('MR1002', { job: job.plan.job, problems: `it has no function ${index}` })
  }
  return fn as JobFunction
}
