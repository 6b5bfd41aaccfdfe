// Would a sink's retention delete its rows at once? Rows carry event time, and brokers delete by it. Main thread; pure.
// Keeps SPEC: TOPIC-2 (rows that a broker would delete at once are refused before they are committed).

import { MillraceError } from '../core/errors.ts'
import type { Plan } from '../job/plan.ts'

export interface SinkRetention {
  topic: string
  /** retention.ms of a topic that deletes; -1: for ever. */
  retentionMs: number
}

/** Retention of the sink topics of a plan. `configs` by topic name; a topic that is only compacted keeps its rows. */
export function sinkRetentions(plan: Plan, configs: ReadonlyMap<string, Record<string, string>>): SinkRetention[] {
  return plan.operators.flatMap((operator) => {
    if (operator.kind !== 'to') return []
    const config = configs.get(operator.topic) ?? {}
    const deletes = (config['cleanup.policy'] ?? 'delete').includes('delete')
    return [{ topic: operator.topic, retentionMs: deletes ? Number(config['retention.ms'] ?? -1) : -1 }]
  })
}

/**
 * Throws MR4009 when rows of `eventTimeMs` would be older than a sink's retention at `wallMs`.
 *
 * @example
 * checkRetention([{ topic: 'candles', retentionMs: 604_800_000 }], Date.parse('2001-01-01'), Date.now()) // throws
 */
export function checkRetention(sinks: readonly SinkRetention[], eventTimeMs: number, wallMs: number): void {
  if (!Number.isFinite(eventTimeMs)) return
  for (const { topic, retentionMs } of sinks) {
    if (retentionMs >= 0 && wallMs - eventTimeMs > retentionMs) {
      throw new MillraceError('MR4009', { topic, retentionMs, eventTimeMs })
    }
  }
}
