// Who comes in, before any handler sees a request. Main thread.
// Keeps SPEC: PUSH-8 (foreign pages and foreign names of this host are refused).

import { MillraceError } from '../core/errors.ts'
import { guarded, type HttpReply } from './http-reply.ts'
import type { HttpRequest } from './http-request.ts'
import { isAllowed } from './origin-check.ts'
import { deny, type Serving } from './serving.ts'
import type { UwsRequest, UwsResponse } from './uws.ts'

export type Page = (serving: Serving, reply: HttpReply, request: HttpRequest) => void

/** For all who do not come from a foreign page. */
export function forOwnPages(serving: Serving, handle: Page): (res: UwsResponse, req: UwsRequest) => void {
  return guarded(serving.log, (reply, request) => {
    if (!refuseForeign(serving, reply, request)) answerWrong(serving, reply, () => handle(serving, reply, request))
  })
}

/** What is wrong with a request (MR7006) is answered with 400. */
function answerWrong(serving: Serving, reply: HttpReply, handle: () => void): void {
  try {
    handle()
  } catch (error) {
    if (!(error instanceof MillraceError && error.code === 'MR7006')) throw error
    deny(serving, reply, 400, error)
  }
}

/** Answers 403 to requests that come from a foreign page. */
export function refuseForeign(serving: Serving, reply: HttpReply, request: HttpRequest): boolean {
  const headers = { origin: request.header('origin'), host: request.header('host') }
  if (isAllowed(headers, serving.host, serving.allowedOrigins)) return false
  deny(serving, reply, 403, new MillraceError('MR7008', { origin: headers.origin || 'none', host: headers.host }))
  return true
}
