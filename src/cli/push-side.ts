// The push side as it is configured: the views of a plan, the limits, the server. `run` and `serve` start the same. Main thread.
// Keeps SPEC: PUSH-33 (the push server knows from the plan which views have history).

import { MsgpackDecoder } from '../codec/msgpack-decode.ts'
import { MsgpackGuard } from '../codec/msgpack-guard.ts'
import { STATUS_OK } from '../core/record-status.ts'
import { allOperators, type Plan } from '../job/plan.ts'
import type { Kafka } from '../kafka/port.ts'
import type { Config } from '../ops/config.ts'
import type { Log } from '../ops/log.ts'
import type { Registry } from '../ops/metrics.ts'
import type { Page } from '../push/page-assets.ts'
import type { ProvisionalHub } from '../push/provisional-hub.ts'
import { type PushServer, startPush } from '../push/server.ts'
import type { ServedView } from '../push/view-feed.ts'
import { pushSettings } from './push-settings.ts'

/** How the values of a view's topic are written. */
export type RowFormat = 'json' | 'msgpack'

/**
 * The views that a job keeps, those of all branches, in the order of the plan.
 *
 * @example
 * viewsOf(plan) // [{ name: 'candles', topic: 'candles-view-candles', decode, history: true }]
 */
export function viewsOf(plan: Plan): ServedView[] {
  return allOperators(plan).flatMap((operator) =>
    operator.kind === 'view'
      ? [
          {
            name: operator.view,
            topic: operator.topic,
            group: plan.job,
            format: operator.sink.format,
            decode: operator.sink.format === 'msgpack' ? decodeOwn : undefined,
            history: operator.history !== undefined,
          },
        ]
      : [],
  )
}

/** A topic that anybody may have written. */
export function topicView(name: string, topic: string, format: RowFormat, { limits }: Config): ServedView {
  if (format === 'json') return { name, topic }
  const guard = new MsgpackGuard(limits.decodeDepthMax, limits.decodeNodesMax)
  return { name, topic, format, decode: (value) => decodeForeign(value, guard) }
}

export interface PushSide {
  kafka: Kafka
  views: readonly ServedView[]
  config: Config
  registry: Registry
  log: Log
  /** Undefined: the page that Millrace has. */
  page: Page | undefined
  /** Rows before their commit, where a job runs in this process that has such views. */
  provisional?: ProvisionalHub | undefined
}

/** Throws what `startPush` throws. */
export function startPushSide({
  kafka,
  views,
  config,
  registry,
  log,
  page,
  provisional,
}: PushSide): Promise<PushServer> {
  return startPush({
    kafka,
    views,
    page,
    host: config.push.host,
    port: config.push.port,
    log,
    metrics: registry,
    callMs: config.limits.callMs,
    provisional,
    ...pushSettings(config),
  })
}

const rowDecoder = new MsgpackDecoder()

/** A view's row from its msgpack: a job's own bytes, so they need no guard. */
function decodeOwn(value: Uint8Array): unknown {
  rowDecoder.begin(value)
  return rowDecoder.value(0, value.length)
}

function decodeForeign(value: Uint8Array, guard: MsgpackGuard): unknown {
  guard.nodeCount = 1
  const status = guard.walk(value, 0, value.length, 1)
  if (status !== STATUS_OK || guard.end !== value.length) throw new RangeError('its value is no msgpack within limits')
  return decodeOwn(value)
}
