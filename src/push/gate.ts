// Who comes in, before any handler sees a request: no foreign pages, and to the views only bearers of a token where that is wanted.
// Main thread.
// Keeps SPEC: PUSH-8 (foreign pages and foreign names of this host are refused), PUSH-31 (those that are
// allowed may read answers), PUSH-25 (a token is verified before anything is served).

import { type ErrorCode, MillraceError } from '../core/errors.ts'
import { guarded, type Handler, type HttpReply } from './http-reply.ts'
import type { HttpRequest } from './http-request.ts'
import { isAllowed } from './origin-check.ts'
import { tokenOf } from './request-token.ts'
import { deny, type Serving } from './serving.ts'
import { ANYONE, type Grant } from './token-check.ts'

type Guarded = ReturnType<typeof guarded>

export type OpenHandler = (serving: Serving, reply: HttpReply, request: HttpRequest) => void
/** `context`: of an upgrade. */
export type BearerHandler = (
  serving: Serving,
  reply: HttpReply,
  request: HttpRequest,
  grant: Grant,
  context: object | undefined,
) => void

/** For all who do not come from a foreign page. */
export function forOwnPages(serving: Serving, handle: OpenHandler): Guarded {
  return gated(serving, (reply, request) => handle(serving, reply, request))
}

/** For those of them who have a token, where tokens are wanted. */
export function forBearers(serving: Serving, handle: BearerHandler): Guarded {
  const { tokens } = serving
  return gated(serving, (reply, request, context) => {
    if (tokens === undefined) return handle(serving, reply, request, ANYONE, context)
    return tokens.check(tokenOf(request, tokens.allowsQuery)).then((grant) => {
      // Who is gone meanwhile has no address and no socket any more.
      if (!reply.isDone) handle(serving, reply, request, grant, context)
    })
  })
}

/** What is wrong with a request is answered with the status that says so; what else is thrown is a defect. */
function gated(serving: Serving, handle: Handler): Guarded {
  const refuse = (reply: HttpReply, error: unknown): void => {
    const status = error instanceof MillraceError ? STATUS_OF[error.code] : undefined
    if (status === undefined) throw error
    deny(serving, reply, status, error as MillraceError)
  }
  return guarded(serving.log, (reply, request, context) => {
    // Who asks a server that stops again should reach another.
    reply.isLast = serving.connections.isDraining
    try {
      checkOrigin(serving, reply, request)
      const pending = handle(reply, request, context)
      return pending?.catch((error: unknown) => refuse(reply, error))
    } catch (error) {
      refuse(reply, error)
    }
  })
}

const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  MR7006: 400,
  MR7008: 403,
  MR7016: 401,
  MR7017: 401,
  MR7018: 401,
  MR7019: 503,
}

/** Throws MR7008 for requests that come from a foreign page. One that is allowed may read the answers. */
function checkOrigin(serving: Serving, reply: HttpReply, request: HttpRequest): void {
  const headers = { origin: request.header('origin'), host: request.header('host') }
  if (isAllowed(headers, serving.host, serving.allowedOrigins)) {
    if (headers.origin !== '')
      Object.assign(reply.headers, { 'access-control-allow-origin': headers.origin, vary: 'origin' })
    return
  }
  throw new MillraceError('MR7008', { origin: headers.origin || 'none', host: headers.host })
}
