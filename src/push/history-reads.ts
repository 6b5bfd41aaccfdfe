// Plain requests for the history of a key: pages of its rows by time. Main thread.
// Keeps SPEC: PUSH-35 (a page of history has the rows of a range, none twice and none missing, and says when nothing has changed).

import { MillraceError } from '../core/errors.ts'
import { timeOf } from './history-store.ts'
import { type HttpReply, isKnown } from './http-reply.ts'
import type { HttpRequest } from './http-request.ts'
import type { PushLimits } from './limits.ts'
import type { LiveView } from './live-view.ts'
import { JSON_TYPE, type KeySelection, LOOKED_AT_MAX, limitOf } from './reads.ts'
import { type Lens, lensOf } from './selection.ts'
import type { ViewRow } from './view-store.ts'
import { rowJson } from './wire-codec.ts'

/**
 * Rows of a key, the newest last: with `from` (included) the first `limit` from there on, without it the last `limit`, before `to` if that is
 * said. `next` is the `from` of the page behind, without `from` the `to` of the page before. 404 with MR7026 where the view has no
 * history, with MR7014 where there is no such key.
 */
export function readHistory(
  view: LiveView,
  selection: KeySelection,
  limits: PushLimits,
  reply: HttpReply,
  request: HttpRequest,
): void {
  const { history } = view
  if (history === undefined) {
    reply.error(404, new MillraceError('MR7026', { view: view.name }))
    return
  }
  const { query } = request
  const { key } = selection
  const lens = lensOf(selection)
  const fromMs = timeIn(query, 'from')
  const toMs = timeIn(query, 'to') ?? Number.POSITIVE_INFINITY
  const limit = limitOf(query.get('limit'), limits.readRowsMax)
  const changed = history.lastChange(key)
  if (changed === undefined) {
    reply.error(404, new MillraceError('MR7014', { view: view.name, key }))
    return
  }
  const tag = `${changed.partition}-${changed.offset}`
  if (isKnown(reply, request, tag, JSON_TYPE)) return
  const all = history.between(key, fromMs ?? Number.NEGATIVE_INFINITY, toMs)
  const { page, next } = fromMs === undefined ? lastOf(all, lens, limit) : firstOf(all, lens, limit)
  const rows = page.map((row) => rowJson(row, lens.rowJson(row)))
  const head = `{"view":${JSON.stringify(view.name)},"key":${JSON.stringify(key)},"position":"${view.place.text}"`
  const end = next === undefined ? '' : `,"next":${next}`
  reply.send(200, JSON_TYPE, `${head},"rows":[${rows.join(',')}]${end}}`, { etag: `"${tag}"` })
}

interface Page {
  page: ViewRow[]
  next: number | undefined
}

function firstOf(rows: readonly ViewRow[], lens: Lens, limit: number): Page {
  const page: ViewRow[] = []
  for (const [at, row] of rows.entries()) {
    if (page.length === limit || at === LOOKED_AT_MAX) return { page, next: timeOf(row) }
    if (lens.accepts(row)) page.push(row)
  }
  return { page, next: undefined }
}

function lastOf(rows: readonly ViewRow[], lens: Lens, limit: number): Page {
  const page: ViewRow[] = []
  for (let at = rows.length - 1; at >= 0; at--) {
    if (page.length === limit || rows.length - 1 - at === LOOKED_AT_MAX) {
      return { page: page.reverse(), next: timeOf(rows[at + 1]!) }
    }
    if (lens.accepts(rows[at]!)) page.push(rows[at]!)
  }
  return { page: page.reverse(), next: undefined }
}

/** A time of the query: ms since the epoch, or ISO 8601. */
function timeIn(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  const timeMs = /^-?\d+$/.test(text) ? Number(text) : ISO.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isSafeInteger(timeMs)) return timeMs
  const reason = `${name} must be a time, in ms since the epoch or like 2026-01-05T09:00:00Z`
  throw new MillraceError('MR7006', { reason })
}

/** With its distance from UTC: what has none would be of the zone of the server. */
const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/
