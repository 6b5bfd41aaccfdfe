// Does a topic take the times that its rows carry? Rows carry event time; brokers delete by it, and refuse what is too far
// from their clock. Main thread; pure.
// Keeps SPEC: TOPIC-2 (rows that a broker would delete or refuse at once are found before they are committed), TOPIC-3.

import { MillraceError } from '../core/errors.ts'
import { allOperators, type Plan, type PlanTopics } from '../job/plan.ts'
import { sourcesOf } from '../job/topology.ts'

/** What a topic allows between the time of a row and the broker's clock, in ms; Infinity: anything. */
export interface SinkTimes {
  topic: string
  /** Older rows are deleted at once (retention.ms of a sink that deletes). */
  retentionMs: number
  /** Older rows are refused (message.timestamp.before.max.ms). */
  behindMsMax: number
  /** Rows further ahead are refused (message.timestamp.after.max.ms). */
  aheadMsMax: number
}

/** What the topics of a plan allow. `configs` by topic name; what a broker does not tell is not guessed at. */
export function sinkTimes(
  plan: Plan,
  topics: PlanTopics,
  configs: ReadonlyMap<string, Record<string, string>>,
): SinkTimes[] {
  const sinks = new Set(allOperators(plan).flatMap((operator) => (operator.kind === 'to' ? [operator.topic] : [])))
  return topics.names.map((topic) => {
    const config = configs.get(topic) ?? {}
    // The broker writes its own time over that of the row.
    const isOwnTime = config['message.timestamp.type'] !== 'LogAppendTime'
    const deletes = sinks.has(topic) && (config['cleanup.policy'] ?? 'delete').includes('delete')
    // Brokers before 3.6 have one setting for both directions.
    const difference = config['message.timestamp.difference.max.ms']
    return {
      topic,
      retentionMs: isOwnTime && deletes ? limitOf(config['retention.ms']) : Number.POSITIVE_INFINITY,
      behindMsMax: isOwnTime
        ? limitOf(config['message.timestamp.before.max.ms'] ?? difference)
        : Number.POSITIVE_INFINITY,
      aheadMsMax: isOwnTime
        ? limitOf(config['message.timestamp.after.max.ms'] ?? difference)
        : Number.POSITIVE_INFINITY,
    }
  })
}

/** -1 and the greatest long are no limit, and so is one that is not told. */
function limitOf(setting: string | undefined): number {
  const limitMs = Number(setting ?? -1)
  return limitMs < 0 || limitMs > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : limitMs
}

/**
 * Topics that refuse rows which the job lets through: an event time may be `maxFuture` ahead of a record's own time. Whether
 * one ever is cannot be known at the start; a row that is refused stops the job (MR4015).
 */
export function tooNearSinks(plan: Plan, sinks: readonly SinkTimes[]): SinkTimes[] {
  const maxFutureMs = Math.max(...sourcesOf(plan).map((source) => source.maxFutureMs))
  return sinks.filter((sink) => sink.aheadMsMax < maxFutureMs)
}

/**
 * Throws MR4009 or MR4016 when rows of `eventTimeMs` would be too old for a topic at `wallMs`.
 *
 * @example
 * checkSinkTimes(sinkTimes(plan, topics, configs), Date.parse('2001-01-01'), Date.now()) // throws with 7 days of retention
 */
export function checkSinkTimes(sinks: readonly SinkTimes[], eventTimeMs: number, wallMs: number): void {
  if (!Number.isFinite(eventTimeMs)) return
  const ageMs = wallMs - eventTimeMs
  for (const { topic, retentionMs, behindMsMax } of sinks) {
    if (ageMs > behindMsMax) throw new MillraceError('MR4016', { topic, eventTimeMs, limitMs: behindMsMax })
    if (ageMs > retentionMs) throw new MillraceError('MR4009', { topic, retentionMs, eventTimeMs })
  }
}
