// `millrace reset JOB --to PLACE`: moves a job's input, state and views to another place. Main thread.
// Keeps SPEC: RESET-5 (a dry run changes nothing), CLI-1.

import { MillraceError } from '../../core/errors.ts'
import { parseDuration } from '../../job/duration.ts'
import type { Config } from '../../ops/config.ts'
import { systemClock, systemScheduler } from '../../ops/system-clock.ts'
import { type ResetReport, resetJob } from '../../reset/reset-job.ts'
import { parseTarget, type ResetTarget } from '../../reset/target.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { addConfigFlags, configFromFlags } from '../config-flags.ts'
import { loadJob } from '../load-job.ts'
import { onStopSignal } from '../stop-signals.ts'
import type { Terminal } from '../terminal.ts'

const KEYS = new Set([
  'brokers',
  'limits.callMs',
  'limits.connectMs',
  'limits.pollRecordsMax',
  'limits.pollBytesMax',
  'limits.stateMemoryBytesMax',
])

export const reset: CommandSpec = {
  define: (program) =>
    addConfigFlags(
      program
        .command('reset')
        .argument('<job>', 'file that exports a job as its default (.ts or .js)')
        .description('move the input of a stopped job to another place, and drop its state and the rows of its views')
        .requiredOption(
          '--to <place>',
          'earliest, latest, <partition>:<offset>,... (the other partitions stay), or a time as 2026-01-31T09:30:00Z',
        )
        .option('--dry-run', 'say what it would do and change nothing')
        .option('--keep-views', 'leave the rows of views; those that the job does not give again stay for ever')
        .option('--wait <duration>', 'how long members of the group are waited for', '15s'),
      (key) => KEYS.has(key),
    ),
  jsonFields: {
    job: 'name of the job',
    to: 'the place, as given',
    isDryRun: 'nothing was changed',
    epoch: 'epoch of the new markers, above all before',
    partitions:
      'of each partition that moves: partition, fromOffset (null: never committed), toOffset, recordsAgain and recordsSkipped (differences of offsets), stateRows (dropped)',
    views: 'of each view: view, topic, rows (deleted)',
    recordsAgain: 'sum over the partitions',
    recordsSkipped: 'sum over the partitions',
    stateRows: 'sum over the partitions',
    viewRows: 'sum over the views',
    members: 'of a dry run: who is in the group now; a reset would wait for them and then refuse',
  },
  async run([jobFile], options, context) {
    const { terminal, env } = context
    const to = String(options.to)
    const target = parseTarget(to)
    const waitMs = parseDuration(options.wait)
    if (waitMs === undefined) {
      throw new MillraceError('MR3002', { reason: `--wait ${String(options.wait)}: expected a duration as 15s` })
    }
    const config = configFromFlags(options, env)
    const { plan } = (await loadJob(jobFile!)).job
    const isDryRun = options.dryRun === true
    const keepsViews = options.keepViews === true
    const report = await resetWith(config, terminal, { plan, target, isDryRun, keepsViews, waitMs })
    const sums = sumsOf(report)
    if (!context.isJson) printReport(context, plan.job, report, isDryRun)
    const { epoch, views, members } = report
    const partitions = report.partitions.map((one) => ({ ...one, fromOffset: one.fromOffset ?? null }))
    return { command: 'reset', job: plan.job, to, isDryRun, epoch, partitions, views, ...sums, members }
  },
}

interface Wanted {
  plan: Parameters<typeof resetJob>[0]['plan']
  target: ResetTarget
  isDryRun: boolean
  keepsViews: boolean
  waitMs: number
}

async function resetWith(config: Config, terminal: Terminal, wanted: Wanted): Promise<ResetReport> {
  const { limits, brokers, kafka: settings } = config
  // Loaded late: the other commands work where the native parts of Kafka are not built.
  const { openRdKafka } = await import('../../kafka/rdkafka/rdkafka.ts')
  let isStopped = false
  const undo = onStopSignal((signal) => {
    isStopped = true
    terminal.say(`${signal}: giving up, unless it is committing already`)
  })
  try {
    return await resetJob({
      ...wanted,
      // Its member of the group reads nothing, so it needs no clients to fetch with.
      kafka: openRdKafka({ brokers, settings, connectMs: limits.connectMs, fetchClients: 1 }),
      clock: systemClock,
      scheduler: systemScheduler,
      limits: { ...limits, keysBytesMax: limits.stateMemoryBytesMax },
      say: (line) => terminal.say(line),
      isStopped: () => isStopped,
    })
  } finally {
    undo()
  }
}

function sumsOf({ partitions, views }: ResetReport) {
  const sum = (name: 'recordsAgain' | 'recordsSkipped' | 'stateRows'): number =>
    partitions.reduce((total, one) => total + one[name], 0)
  return {
    recordsAgain: sum('recordsAgain'),
    recordsSkipped: sum('recordsSkipped'),
    stateRows: sum('stateRows'),
    viewRows: views.reduce((total, { rows }) => total + rows, 0),
  }
}

function printReport({ terminal }: CommandContext, job: string, report: ResetReport, isDryRun: boolean): void {
  for (const { partition, fromOffset, toOffset, recordsAgain, recordsSkipped, stateRows } of report.partitions) {
    const moved = recordsSkipped > 0 ? `${recordsSkipped} records skipped` : `${recordsAgain} records again`
    terminal.data(
      `partition ${partition}: offset ${fromOffset ?? 'none'} -> ${toOffset}, ${moved}, ${stateRows} rows of state dropped`,
    )
  }
  for (const { view, rows } of report.views) terminal.data(`view ${view}: ${rows} rows deleted`)
  if (report.members.length > 0) {
    terminal.say(`the job runs (${report.members.join(', ')}): a reset would wait for it to stop, and then refuse`)
  }
  terminal.say(isDryRun ? `dry run: ${job} is as it was` : `${job} was reset`)
}
