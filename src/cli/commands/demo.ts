// `millrace demo`: candles over generated trades, on a broker inside this process. Main thread.
// Keeps SPEC: R3 (late trades are those that the oracle finds), COUNT-1 (records + expanded = accepted + late + dead + filtered).

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { delay } from '../../core/clock.ts'
import { MillraceError } from '../../core/errors.ts'
import type { Plan } from '../../job/plan.ts'
import { planTopics } from '../../job/plan-topics.ts'
import { KafkaError, type Producer } from '../../kafka/port.ts'
import type { MockCluster } from '../../kafka/rdkafka/mock-cluster.ts'
import type { Config } from '../../ops/config.ts'
import { availableMemoryBytes } from '../../ops/memory-plan.ts'
import { packageRoot, packageVersion } from '../../ops/package-root.ts'
import { systemClock, systemScheduler } from '../../ops/system-clock.ts'
import type { CommandContext, CommandResult, CommandSpec } from '../command.ts'
import { addConfigFlags, configFromFlags } from '../config-flags.ts'
import { DemoCheck, type WindowRule } from '../demo-check.ts'
import { commandLog, runToEnd } from '../job-run.ts'
import { wholeNumber } from '../number-argument.ts'
import type { RunningJob, RunSummary } from '../running-job.ts'
import type { Terminal } from '../terminal.ts'
import { produceTrades } from '../trade-producer.ts'
import { type TradeStream, tradeStream } from '../trades.ts'
import { SUMMARY_FIELDS } from './run.ts'

/** One trade in 2,000 is 30 s late: past out-of-order time, window and grace of the job. */
const LATE_SHARE = 1 / 2000
/** After the last trade, the job has this long to catch up. */
const DRAIN_MS_MAX = 30_000
const DRAIN_LOOK_MS = 20
/**
 * A partition of the broker inside holds 5 MiB; beyond it drops the oldest, and a view that is not read by then has an end. Rows of the
 * default rate stay for a quarter of a minute: a machine with other work to do is that late at times.
 */
const RATE_DEFAULT = 5_000
const RATE_MAX = 200_000
const KEYS = (key: string): boolean =>
  key !== 'brokers' && key !== 'createTopics' && key !== 'stateDir' && key !== 'instanceId'

const JOB_FILE = (): string => join(packageRoot(), 'examples/candles/job.ts')

/** Fields of a run's summary that mean nothing here. */
const HIDDEN_FIELDS: ReadonlySet<string> = new Set(['refused', 'lagRecords', 'epochs'])

export const demo: CommandSpec = {
  define: (program) =>
    addConfigFlags(
      program
        .command('demo')
        .description('candles over generated trades, with a broker inside this process: nothing to install')
        .option('--rate <perSecond>', 'trades per second', wholeNumber(1, RATE_MAX), RATE_DEFAULT)
        .option('--seconds <count>', 'end by itself after this long (default: at Ctrl-C)', wholeNumber(1, 86_400))
        .option('--seed <number>', 'seed of the trades', wholeNumber(0, 2 ** 32 - 1), 1),
      KEYS,
    ),
  jsonFields: {
    ...Object.fromEntries(Object.entries(SUMMARY_FIELDS).filter(([name]) => !HIDDEN_FIELDS.has(name))),
    correct: 'every trade counted once, none dead, and exactly those late that are late by the stream itself',
  },
  async run(_args, options, context) {
    const { startMockCluster } = await import('../../kafka/rdkafka/mock-cluster.ts')
    const { loadJob } = await import('../load-job.ts')
    const { plan } = (await loadJob(JOB_FILE())).job
    const cluster = await startMockCluster()
    let stateDir: string | undefined
    try {
      stateDir = await mkdtemp(join(tmpdir(), 'millrace-demo-'))
      for (const topic of new Set([plan.source.topic, ...planTopics(plan).names])) createTopic(cluster, topic)
      const own = { ...options, brokers: cluster.brokers, createTopics: true, stateDir }
      const config = configFromFlags(own, withFreePorts(own, context.env), availableMemoryBytes())
      return await runDemo(config, plan, options as unknown as DemoOptions, context)
    } finally {
      await cluster.close()
      if (stateDir !== undefined) await rm(stateDir, { recursive: true, force: true })
    }
  },
}

/** Any free ports, unless others are asked for somewhere: a demo should start beside whatever runs. */
export function withFreePorts(
  options: Record<string, unknown>,
  env: Record<string, string | undefined>,
): Record<string, string | undefined> {
  const asked = new Set(
    configFromFlags(options, env)
      .describe()
      .flatMap(({ key, origin }) => (origin === 'default' ? [] : [key])),
  )
  return {
    ...env,
    ...(asked.has('http.port') ? {} : { MILLRACE_HTTP_PORT: '0' }),
    ...(asked.has('push.port') ? {} : { MILLRACE_PUSH_PORT: '0' }),
  }
}

interface DemoOptions {
  rate: number
  seconds: number | undefined
  seed: number
}

const PARTITION_COUNT = 4
/** "Not implemented": without the addon the cluster makes a topic, of as many partitions, when it is first asked for. */
const NOT_IMPLEMENTED = -165

function createTopic(cluster: MockCluster, topic: string): void {
  try {
    cluster.createTopic(topic, PARTITION_COUNT)
  } catch (error) {
    if (!(error instanceof KafkaError && error.failure.code === NOT_IMPLEMENTED)) throw error
  }
}

async function runDemo(
  config: Config,
  plan: Plan,
  options: DemoOptions,
  { terminal }: CommandContext,
): Promise<CommandResult> {
  const { startJob } = await import('../start-job.ts')
  const { openRdKafka } = await import('../../kafka/rdkafka/rdkafka.ts')
  terminal.say(`millrace ${packageVersion()}, job ${plan.job}`)
  terminal.say('A broker inside this process: it forgets everything on exit, and it keeps no transactions, so')
  terminal.say('this shows what a job does and proves nothing about exactly-once.')
  const producer = await openRdKafka({ brokers: config.brokers, settings: config.kafka }).openProducer({})
  const feed = new DemoFeed(producer, plan, options, config)
  const log = commandLog(config, terminal)
  try {
    const start = () => feed.stoppedWith(startJob({ jobFile: JOB_FILE(), config, untilEnd: false, log }))
    const summary = await runToEnd(start, terminal, (job, info) => feed.begin(job, info.partitions))
    await feed.ended()
    return demoResult(summary, feed, terminal)
  } finally {
    feed.isStopped = true
    await producer.close()
  }
}

/** Feeds trades to a running job and, when its time is over, stops the job once it has caught up. */
class DemoFeed {
  isStopped = false
  /** True when the job was given the time to catch up: only then can its counts be compared. */
  isDrained = false
  check: DemoCheck | undefined
  #feeding: Promise<void> | undefined
  readonly #producer: Producer
  readonly #plan: Plan
  readonly #options: DemoOptions
  readonly #config: Config

  constructor(producer: Producer, plan: Plan, options: DemoOptions, config: Config) {
    this.#producer = producer
    this.#plan = plan
    this.#options = options
    this.#config = config
  }

  /** The job, with a `stop` that ends the feed too. */
  stoppedWith(job: RunningJob): RunningJob {
    const stop = (reason: string): Promise<void> => {
      this.isStopped = true
      return job.stop(reason)
    }
    return { ...job, stop }
  }

  begin(job: RunningJob, partitionCount: number): void {
    const { seed, rate } = this.#options
    // The stream's pace is the wall clock's: trade i is due, and has its event time, i / rate seconds from now.
    const shape = { seed, recordsPerEventSecond: rate, lateShare: LATE_SHARE, startMs: systemClock.wallMs() }
    const trades = tradeStream({ ...shape, count: Number.POSITIVE_INFINITY })
    this.check = new DemoCheck(trades, partitionCount, windowRule(this.#plan))
    this.#feeding = this.#feed(job, trades).finally(() => job.stop('the demo is over'))
    this.#feeding.catch(() => {}) // `ended` tells
  }

  /** Rejects with what feeding failed with. */
  async ended(): Promise<void> {
    await this.#feeding
  }

  async #feed(job: RunningJob, trades: TradeStream): Promise<void> {
    const { rate, seconds } = this.#options
    const check = this.check!
    const records = await produceTrades({
      producer: this.#producer,
      topic: this.#plan.source.topic,
      trades,
      records: seconds === undefined ? Number.POSITIVE_INFINITY : seconds * rate,
      rate,
      clock: systemClock,
      scheduler: systemScheduler,
      flushMs: this.#config.limits.callMs,
      isStopped: () => this.isStopped,
      onWritten: (from, to) => check.follow(from, to),
    })
    const untilMs = systemClock.monotonicMs() + DRAIN_MS_MAX
    while (!this.isStopped && job.snapshot().records < records && systemClock.monotonicMs() < untilMs) {
      await delay(systemScheduler, DRAIN_LOOK_MS)
    }
    this.isDrained = !this.isStopped
  }
}

function windowRule(plan: Plan): WindowRule {
  const operator = plan.operators.find((candidate) => candidate.kind === 'window')
  if (operator?.kind !== 'window' || operator.window.kind !== 'tumbling')
    throw new MillraceError('MR1002', { job: plan.job, problems: 'the demo needs a tumbling window' })
  const { sizeMs, graceMs } = operator.window
  return { outOfOrderMs: plan.source.outOfOrderMs, sizeMs, graceMs }
}

function demoResult(summary: RunSummary, feed: DemoFeed, terminal: Terminal): CommandResult {
  const { records, expanded, accepted, late, dead, filtered, results } = summary
  const problems: string[] = []
  const addsUp = records + expanded === accepted + late + dead + filtered
  if (!addsUp)
    problems.push(
      `${records} records and ${expanded} rows that went on are not ${accepted} accepted + ${late} late + ${dead} dead + ${filtered} filtered`,
    )
  if (dead > 0) problems.push(`${dead} trades are dead`)
  const check = feed.check
  if (feed.isDrained && check !== undefined) {
    if (records !== check.records) problems.push(`${records} records of ${check.records} written`)
    if (late !== check.late) problems.push(`${late} late, but ${check.late} of the stream are`)
  }
  terminal.say(
    `${records} trades: ${records - late - dead - filtered} in candles, ${late} late, ${dead} dead; ${results} results`,
  )
  for (const problem of problems) terminal.say(`NOT CORRECT: ${problem}`)
  const shown = Object.fromEntries(Object.entries(summary).filter(([name]) => !HIDDEN_FIELDS.has(name)))
  return { command: 'demo', ...shown, correct: problems.length === 0 }
}
