// `millrace run JOB`: runs a job until it is stopped, or to the end of its input. Main thread.
// Keeps SPEC: CLI-1, CLI-2, STOP-1.

import { availableMemoryBytes } from '../../ops/memory-plan.ts'
import { packageVersion } from '../../ops/package-root.ts'
import type { CommandSpec } from '../command.ts'
import { addConfigFlags, configFromFlags } from '../config-flags.ts'
import { commandLog, runToEnd } from '../job-run.ts'

/** Fields of a run's summary, shared with the demo. */
export const SUMMARY_FIELDS = {
  records: 'records read since the start (with envelopes: events)',
  accepted: 'taken by at least one window, or passed on where there is none',
  late: 'refused by all windows: too late',
  dead: 'gone to the dead-letter topic',
  filtered: 'dropped by a filter or flatMap',
  expanded: 'records that flatMap added',
  refused: 'windows that were closed to a record which another window took',
  results: 'rows given to sinks and views',
  recordsPerSecond: 'mean from the first record to the last commit',
  latencyMsP50: 'median, from Kafka timestamp to committed',
  latencyMsP95: '95th percentile of the same',
  latencyMsP99: '99th percentile of the same',
  lagRecords: 'records behind the end of the input when it ended',
  epochs: 'committed epochs',
  elapsedMs: 'from the first fetch to the last commit',
  cpuMicros: 'CPU of the whole process in that time: all threads, user and system',
  rssBytesMax: 'greatest resident memory of the process',
} as const

export const run: CommandSpec = {
  define: (program) =>
    addConfigFlags(
      program
        .command('run')
        .argument('<job>', 'file that exports a job as its default (.ts or .js)')
        .description('run a job until SIGTERM or Ctrl-C')
        .option('--until-end', 'read to the end offsets seen at the start, commit, flush and exit'),
    ),
  jsonFields: { job: 'the job file', ...SUMMARY_FIELDS },
  async run([jobFile], options, { terminal, env }) {
    const config = configFromFlags(options, env, availableMemoryBytes())
    terminal.say(`millrace ${packageVersion()}, job ${jobFile}, brokers ${config.brokers}`)
    const log = commandLog(config, terminal)
    const untilEnd = options.untilEnd === true
    // Loaded late: the other commands work where the native parts of Kafka are not built.
    const { startJob } = await import('../start-job.ts')
    const summary = await runToEnd(() => startJob({ jobFile: jobFile!, config, untilEnd, log }), terminal)
    terminal.say(`ended: ${summary.records} records, ${summary.results} results, ${summary.epochs} epochs`)
    return { command: 'run', job: jobFile!, ...summary }
  },
}
