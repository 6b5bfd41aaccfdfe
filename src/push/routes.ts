// What is where: the views as plain requests, streams and WebSockets, and the files of the page. Main thread.
// Keeps SPEC: PUSH-3, PUSH-11 (a view that is not whole is not served), PUSH-16 (plain reads).

import { MillraceError } from '../core/errors.ts'
import { streamEvents } from './event-streams.ts'
import { forOwnPages } from './gate.ts'
import type { HttpReply } from './http-reply.ts'
import type { HttpRequest } from './http-request.ts'
import type { LiveView } from './live-view.ts'
import { readRow, readRows, selectionOf } from './reads.ts'
import { deny, noView, type Serving } from './serving.ts'
import type { Uws, UwsApp } from './uws.ts'
import { addSockets } from './web-sockets.ts'

export function makeApp(uws: Uws, serving: Serving): UwsApp {
  const app = uws.App()
  addSockets(app, serving)
  app.get('/events/:view', forOwnPages(serving, streamEvents))
  app.get('/views', forOwnPages(serving, listViews))
  app.get('/views/:view', forOwnPages(serving, withView(pageOfRows)))
  app.get('/views/:view/:key', forOwnPages(serving, withView(oneRow)))
  for (const path of serving.assets.keys()) app.get(path, forOwnPages(serving, sendAsset))
  app.any('/*', forOwnPages(serving, nothingThere))
  return app
}

type ViewHandler = (serving: Serving, view: LiveView, reply: HttpReply, request: HttpRequest) => void

/** For a view that is there and can be served. */
function withView(handle: ViewHandler) {
  return (serving: Serving, reply: HttpReply, request: HttpRequest): void => {
    const name = request.parameters[0]!
    const view = serving.views.get(name)
    if (view === undefined) deny(serving, reply, 404, noView(serving, name))
    else if (view.failure !== undefined) deny(serving, reply, 503, view.failure)
    else if (!view.isReady) deny(serving, reply, 503, new MillraceError('MR7015', { view: name }))
    else handle(serving, view, reply, request)
  }
}

function pageOfRows({ limits }: Serving, view: LiveView, reply: HttpReply, request: HttpRequest): void {
  readRows(view, selectionOf(request, limits), limits, reply, request)
}

function oneRow({ limits }: Serving, view: LiveView, reply: HttpReply, request: HttpRequest): void {
  readRow(view, { ...selectionOf(request, limits), key: request.parameters[1]! }, reply, request)
}

function listViews(serving: Serving, reply: HttpReply): void {
  const views = [...serving.views.values()].map((view) => ({
    name: view.name,
    topic: view.topic.name,
    rows: view.store.rows.size,
    isReady: view.isReady,
    ...(view.failure === undefined ? {} : { failure: view.failure.code }),
  }))
  reply.json(200, { views })
}

function sendAsset(serving: Serving, reply: HttpReply, request: HttpRequest): void {
  const { contentType, body } = serving.assets.get(request.path)!
  reply.send(200, contentType, body)
}

function nothingThere(serving: Serving, reply: HttpReply, request: HttpRequest): void {
  deny(serving, reply, 404, new MillraceError('MR7009', { path: request.path }))
}
