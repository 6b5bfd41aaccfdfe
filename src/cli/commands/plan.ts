// `millrace plan JOB`: checks a job without running it and says which path each operator takes; `--acls`: which rights it
// needs at Kafka. Main thread.
// Keeps SPEC: PLAN-1 (the plan shown is the one that runs), SECURE-5.

import { Option } from 'commander'
import { operatorPaths } from '../../job/paths.ts'
import type { Plan } from '../../job/plan.ts'
import { describePlan, renderPlan } from '../../job/render.ts'
import { aclCommands, jobRights, type RightsOptions } from '../../job/rights.ts'
import type { CommandResult, CommandSpec } from '../command.ts'
import { loadJob } from '../load-job.ts'
import type { Terminal } from '../terminal.ts'

export const plan: CommandSpec = {
  define: (program) =>
    program
      .command('plan')
      .argument('<job>', 'file that exports a job as its default (.ts or .js)')
      .description('check a job and show its plan, or the rights it needs at Kafka, without a broker')
      .option('--acls', 'print the least rights of the job as commands for kafka-acls.sh')
      .option('--principal <name>', 'whom they are for (default: User:<job>)')
      .option('--instance-id <id>', 'the right on transactions is for this instance alone, not for all of the job')
      .addOption(
        new Option('--creates <topics>', 'topics that the job is to make: none (all are there), internal, all')
          .choices(['none', 'internal', 'all'])
          .default('internal'),
      ),
  jsonFields: {
    job: 'name of the job',
    plan: 'the plan, as both threads build it; not with `--acls`',
    planHash: 'hash of what its state means; not with `--acls`',
    topics: 'names of all topics that it writes; not with `--acls`',
    paths: 'of each operator: operator, kind, path (fast, free, none), why; not with `--acls`',
    principal: 'with `--acls`: whom the rights are for',
    acls: 'with `--acls`: of each right resource (topic, group, transactional-id), name, pattern (literal, prefixed), operation, why',
    commands: 'with `--acls`: the same as command lines',
  },
  async run([jobFile], options, { terminal, isJson }) {
    const { plan } = (await loadJob(jobFile!)).job
    if (options.acls === true) return showAcls(plan, options, isJson ? undefined : terminal)
    const paths = operatorPaths(plan)
    if (!isJson) for (const line of renderPlan(plan, paths).split('\n')) terminal.data(line)
    return { command: 'plan', ...describePlan(plan, paths) }
  },
}

function showAcls(plan: Plan, options: Record<string, unknown>, terminal: Terminal | undefined): CommandResult {
  const instanceId = options.instanceId as string | undefined
  const acls = jobRights(plan, { instanceId, creates: options.creates as RightsOptions['creates'] })
  const principal = (options.principal as string | undefined) ?? `User:${plan.job}`
  const commands = aclCommands(acls, principal)
  for (const line of commands) terminal?.data(line)
  return { command: 'plan', job: plan.job, principal, acls, commands }
}
