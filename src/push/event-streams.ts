// Views as server-sent events: one subscription a stream. Main thread.
// Keeps SPEC: PUSH-12 (a browser goes on at the id of the last event), PUSH-26 (rights).

import { MillraceError } from '../core/errors.ts'
import { isMinGap, MIN_GAP_PROBLEM, readHistoryCount, type Subscribe } from '../protocol/messages.ts'
import { clientAddress } from './client-address.ts'
import { EventStreamLink } from './client-link.ts'
import type { HttpReply } from './http-reply.ts'
import type { HttpRequest } from './http-request.ts'
import type { PushLimits } from './limits.ts'
import { selectionOf } from './reads.ts'
import { refusalOf } from './rights.ts'
import { deny, noView, type Serving } from './serving.ts'
import type { Grant } from './token-check.ts'

/** The subscription of a stream of events, which has one. */
const EVENTS_ID = 0

export function streamEvents(serving: Serving, reply: HttpReply, request: HttpRequest, grant: Grant): void {
  const { connections, limits, views } = serving
  const name = request.parameters[0]!
  const subscribe: Subscribe = { type: 'subscribe', id: EVENTS_ID, view: name, ...eventsRequest(request, limits) }
  const denied = refusalOf(grant.rights, name, subscribe)
  if (denied !== undefined) {
    deny(serving, reply, 403, denied)
    return
  }
  const view = views.get(name)
  if (view === undefined) {
    deny(serving, reply, 404, noView(serving, name, grant.rights))
    return
  }
  const address = clientAddress(request, serving.trustedProxies)
  const refusal = view.failure ?? connections.refusalOf(address)
  if (refusal !== undefined) {
    deny(serving, reply, 503, refusal)
    return
  }
  const link = new EventStreamLink(reply)
  const connection = connections.open(link, address, grant)!
  reply.onAborted = () => connections.remove(connection)
  reply.stream('text/event-stream', () => {
    link.becameWritable()
    connections.drained(connection)
  })
  connections.subscribe(connection, view, subscribe)
}

type EventsRequest = Omit<Subscribe, 'type' | 'id' | 'view'>

/** A browser that connects again says the id of the last event; anyone may say `resume`, `minGapMs` and `provisional`. Throws MR7006. */
function eventsRequest(request: HttpRequest, limits: PushLimits): EventsRequest {
  const { query } = request
  const resume = request.header('last-event-id') || query.get('resume')
  const minGapMs = Number(query.get('minGapMs') ?? 0)
  if (!isMinGap(minGapMs)) throw new MillraceError('MR7006', { reason: MIN_GAP_PROBLEM })
  const selection = selectionOf(request, limits)
  const given = query.get('history')
  const history = given === null ? undefined : readHistoryCount(Number(given), selection, limits)
  if (typeof history === 'string') throw new MillraceError('MR7006', { reason: history })
  const provisional = query.get('provisional') ?? 'false'
  if (provisional !== 'true' && provisional !== 'false')
    throw new MillraceError('MR7006', { reason: 'provisional must be true or false' })
  return {
    ...selection,
    ...(resume ? { resume } : {}),
    ...(history === undefined ? {} : { history }),
    minGapMs,
    provisional: provisional === 'true',
  }
}
