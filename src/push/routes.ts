// What is where: the views as plain requests, streams and WebSockets, and the files of the page. Main thread.
// Keeps SPEC: PUSH-3, PUSH-11 (a view that is not whole is not served), PUSH-16 (plain reads), PUSH-26 (rights),
// PUSH-40 (a copy that cannot be read is told).

import { MillraceError } from '../core/errors.ts'
import type { Selection } from '../protocol/messages.ts'
import { streamEvents } from './event-streams.ts'
import { forBearers, forOwnPages } from './gate.ts'
import { readHistory } from './history-reads.ts'
import type { HttpReply } from './http-reply.ts'
import type { HttpRequest } from './http-request.ts'
import type { LiveView } from './live-view.ts'
import { sendAsset } from './page-assets.ts'
import { type KeySelection, readRow, readRows, selectionOf } from './reads.ts'
import { type Rights, refusalOf } from './rights.ts'
import { deny, noView, permittedViews, type Serving } from './serving.ts'
import type { Grant } from './token-check.ts'
import type { Uws, UwsApp } from './uws.ts'
import { addSockets } from './web-sockets.ts'

export function makeApp(uws: Uws, serving: Serving): UwsApp {
  const app = uws.App()
  addSockets(app, serving)
  app.get('/events/:view', forBearers(serving, streamEvents))
  app.get('/views', forBearers(serving, listViews))
  app.get('/views/:view', forBearers(serving, pageOfRows))
  app.get('/views/:view/:key', forBearers(serving, oneRow))
  app.get('/views/:view/:key/history', forBearers(serving, historyOfKey))
  for (const [path, asset] of serving.page)
    app.get(
      path,
      forOwnPages(serving, (_serving, reply, request) => sendAsset(asset, reply, request)),
    )
  app.options('/*', forOwnPages(serving, allowCrossing))
  app.any('/*', forOwnPages(serving, nothingThere))
  return app
}

function pageOfRows(serving: Serving, reply: HttpReply, request: HttpRequest, { rights }: Grant): void {
  const { limits } = serving
  const selection = selectionOf(request, limits)
  const view = viewToRead(serving, reply, request.parameters[0]!, selection, rights)
  if (view !== undefined) reading(serving, view, reply, () => readRows(view, selection, limits, reply, request))
}

function oneRow(serving: Serving, reply: HttpReply, request: HttpRequest, { rights }: Grant): void {
  const selection = selectionOfKey(serving, request)
  const view = viewToRead(serving, reply, request.parameters[0]!, selection, rights)
  if (view !== undefined) reading(serving, view, reply, () => readRow(view, selection, reply, request))
}

function historyOfKey(serving: Serving, reply: HttpReply, request: HttpRequest, { rights }: Grant): void {
  const selection = selectionOfKey(serving, request)
  const view = viewToRead(serving, reply, request.parameters[0]!, selection, rights)
  if (view !== undefined)
    reading(serving, view, reply, () => readHistory(view, selection, serving.limits, reply, request))
}

function selectionOfKey({ limits }: Serving, request: HttpRequest): KeySelection {
  return { ...selectionOf(request, limits), key: request.parameters[1]! }
}

/** A view whose copy cannot be read fails, before anything was answered. */
function reading(serving: Serving, view: LiveView, reply: HttpReply, read: () => void): void {
  view.reading(read)
  if (view.failure !== undefined) deny(serving, reply, 503, view.failure)
}

/** The view, when this of it may be read and it can be served; else the answer is given. */
function viewToRead(
  serving: Serving,
  reply: HttpReply,
  name: string,
  selection: Selection,
  rights: Rights,
): LiveView | undefined {
  const denied = refusalOf(rights, name, selection)
  const view = serving.views.get(name)
  if (serving.connections.isClosed) deny(serving, reply, 503, new MillraceError('MR7021'))
  else if (denied !== undefined) deny(serving, reply, 403, denied)
  else if (view === undefined) deny(serving, reply, 404, noView(serving, name, rights))
  else if (view.failure !== undefined) deny(serving, reply, 503, view.failure)
  else if (!view.isReady) deny(serving, reply, 503, new MillraceError('MR7015', { view: name }))
  else return view
  return undefined
}

function listViews(serving: Serving, reply: HttpReply, _request: HttpRequest, { rights }: Grant): void {
  const views = permittedViews(serving, rights).map((view) => ({
    name: view.name,
    topic: view.topic.name,
    rows: view.store.rows.size,
    isReady: view.isReady && !serving.connections.isDraining,
    feed: view.feed,
    ...(view.history === undefined ? {} : { historyRows: view.history.store.rows.size }),
    ...(view.failure === undefined ? {} : { failure: view.failure.code }),
  }))
  reply.json(200, { views })
}

/** What a browser asks before a page of another origin says a token or where it was. */
function allowCrossing(_serving: Serving, reply: HttpReply): void {
  Object.assign(reply.headers, {
    'access-control-allow-methods': 'GET',
    'access-control-allow-headers': 'authorization, last-event-id, if-none-match',
    'access-control-max-age': '600',
  })
  reply.send(204, 'text/plain', '')
}

function nothingThere(serving: Serving, reply: HttpReply, request: HttpRequest): void {
  deny(serving, reply, 404, new MillraceError('MR7009', { path: request.path }))
}
