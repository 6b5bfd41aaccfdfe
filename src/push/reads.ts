// Plain requests for rows of a view: pages of them in the order of their keys, and single ones. Main thread.
// Keeps SPEC: PUSH-16 (a plain read gives whole pages, and says when nothing has changed).

import { MillraceError } from '../core/errors.ts'
import { isObject, parsedJson, readSelection, type Selection } from '../protocol/messages.ts'
import { type HttpReply, isKnown } from './http-reply.ts'
import type { HttpRequest } from './http-request.ts'
import type { PushLimits } from './limits.ts'
import type { LiveView } from './live-view.ts'
import { lensOf } from './selection.ts'
import type { ViewRow } from './view-store.ts'
import { rowJson } from './wire-codec.ts'

const ROWS_DEFAULT = 1000
/** Rows that are looked at for a page; a filter that matches few gives short pages. */
export const LOOKED_AT_MAX = 100_000

/** The selection that a query says, `select` as JSON or single names. Throws MR7006. */
export function selectionOf({ query }: HttpRequest, limits: PushLimits): Selection {
  const given = selectOf(query.get('select'))
  for (const name of ['key', 'prefix'] as const) {
    const value = query.get(name)
    if (value !== null) given[name] = value
  }
  const selection = readSelection(given, limits)
  if (typeof selection === 'string') throw new MillraceError('MR7006', { reason: selection })
  return selection
}

function selectOf(text: string | null): Record<string, unknown> {
  if (text === null) return {}
  const select = parsedJson(text)
  if (isObject(select)) return { ...select }
  throw new MillraceError('MR7006', { reason: 'select must be a JSON object' })
}

/** A page of rows: `prefix`, `from` (included), `to` (not), `limit`, `select`. `next` is where the next page begins. */
export function readRows(
  view: LiveView,
  selection: Selection,
  limits: PushLimits,
  reply: HttpReply,
  request: HttpRequest,
): void {
  const { query } = request
  const lens = lensOf(selection)
  const prefix = selection.prefix ?? ''
  const from = query.get('from') ?? ''
  const to = query.get('to')
  const limit = limitOf(query.get('limit'), limits.readRowsMax)
  if (isKnown(reply, request, view.place.text, JSON_TYPE)) return
  const keys = lens.keys === undefined ? undefined : [...lens.keys].sort()
  const first = from < prefix ? prefix : from
  const rows: ViewRow[] = []
  let next: string | undefined
  let lookedAt = 0
  for (const key of keys?.filter((key) => key >= first) ?? keysFrom(view, first)) {
    if ((to !== null && key >= to) || !key.startsWith(prefix)) break
    if (rows.length === limit || lookedAt++ === LOOKED_AT_MAX) {
      next = key
      break
    }
    const row = view.store.rows.get(key)
    if (row !== undefined && lens.hasKey(key) && lens.accepts(row)) rows.push(row)
  }
  const texts = rows.map((row) => rowJson(row, lens.rowJson(row)))
  const end = next === undefined ? '' : `,"next":${JSON.stringify(next)}`
  const head = `{"view":${JSON.stringify(view.name)},"position":"${view.place.text}"`
  reply.send(200, JSON_TYPE, `${head},"rows":[${texts.join(',')}]${end}}`, { etag: `"${view.place.text}"` })
}

const KEYS_AT_ONCE = 1000

function* keysFrom(view: LiveView, first: string): Generator<string> {
  let from = first
  for (;;) {
    const keys = view.store.order.from(from, KEYS_AT_ONCE)
    yield* keys
    if (keys.length < KEYS_AT_ONCE) return
    from = `${keys.at(-1)!}\0`
  }
}

export type KeySelection = Selection & { key: string }

/** One row. 404 with MR7014 where there is none. */
export function readRow(view: LiveView, selection: KeySelection, reply: HttpReply, request: HttpRequest): void {
  const { key } = selection
  const lens = lensOf(selection)
  const row = view.store.rows.get(key)
  if (row === undefined || !lens.accepts(row)) {
    reply.error(404, new MillraceError('MR7014', { view: view.name, key }))
    return
  }
  const tag = `${row.partition}-${row.offset}`
  if (isKnown(reply, request, tag, JSON_TYPE)) return
  reply.send(200, JSON_TYPE, rowJson(row, lens.rowJson(row)), { etag: `"${tag}"` })
}

export const JSON_TYPE = 'application/json; charset=utf-8'

export function limitOf(text: string | null, max: number): number {
  if (text === null) return Math.min(ROWS_DEFAULT, max)
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= max) return limit
  throw new MillraceError('MR7006', { reason: `limit must be a whole number from 1 to ${max}` })
}
