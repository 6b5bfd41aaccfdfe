// `millrace plan JOB`: checks a job without running it and says which path each operator takes. Main thread.
// Keeps SPEC: PLAN-1 (the plan shown is the one that runs).

import { operatorPaths } from '../../job/paths.ts'
import { describePlan, renderPlan } from '../../job/render.ts'
import type { CommandSpec } from '../command.ts'
import { loadJob } from '../load-job.ts'

export const plan: CommandSpec = {
  define: (program) =>
    program
      .command('plan')
      .argument('<job>', 'file that exports a job as its default (.ts or .js)')
      .description('check a job and show its plan, without a broker'),
  jsonFields: {
    job: 'name of the job',
    plan: 'the plan, as both threads build it',
    planHash: 'hash of what its state means',
    topics: 'names of all topics that it writes',
    paths: 'of each operator: operator, kind, path (fast, free, none), why',
  },
  async run([jobFile], _options, { terminal, isJson }) {
    const { plan } = (await loadJob(jobFile!)).job
    const paths = operatorPaths(plan)
    if (!isJson) for (const line of renderPlan(plan, paths).split('\n')) terminal.data(line)
    return { command: 'plan', ...describePlan(plan, paths) }
  },
}
