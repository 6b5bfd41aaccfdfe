// One HTTP answer, and the wrapper around every handler: uWebSockets ends the process when a handler leaves a request
// with neither an answer nor an abort handler. Main thread.
// Keeps SPEC: PUSH-7 (no request ends the process).

import { type ErrorCode, MillraceError } from '../core/errors.ts'
import type { Log } from '../ops/log.ts'
import { copyOf, type HttpRequest } from './http-request.ts'
import type { UwsRequest, UwsResponse } from './uws.ts'

const SAFE_HEADERS: Record<string, string> = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
  'cache-control': 'no-store',
}

/** Of views that are not served any more by this process: asking it again does not help. */
const OF_FAILED_VIEWS: ReadonlySet<ErrorCode> = new Set(['MR7003', 'MR7004', 'MR7032', 'MR7033'])

const STATUS: Record<number, string> = {
  200: '200 OK',
  204: '204 No Content',
  304: '304 Not Modified',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  403: '403 Forbidden',
  404: '404 Not Found',
  500: '500 Internal Server Error',
  503: '503 Service Unavailable',
}

export class HttpReply {
  readonly #res: UwsResponse
  /** The client is gone, or the answer is complete: the response must not be touched. */
  isDone = false
  /** Someone has answered or goes on answering. */
  isTaken = false
  /** The head of an answer that goes on was sent. */
  isStreaming = false
  /** The connection ends with the answer. */
  isLast = false
  onAborted: () => void = () => undefined
  /** Of every answer. */
  readonly headers: Record<string, string> = { ...SAFE_HEADERS }

  constructor(res: UwsResponse) {
    this.#res = res
    res.onAborted(() => {
      this.isDone = true
      this.isTaken = true
      this.onAborted()
    })
  }

  send(status: number, contentType: string, body: string | Uint8Array, headers: Record<string, string> = {}): void {
    if (this.isDone) return
    this.isDone = true
    this.isTaken = true
    this.#res.cork(() => {
      this.#head(status, contentType, headers)
      this.#res.end(body, this.isLast)
    })
  }

  json(status: number, body: unknown, headers?: Record<string, string>): void {
    this.send(status, 'application/json; charset=utf-8', JSON.stringify(body), headers)
  }

  error(status: number, { code, message, remedy }: MillraceError): void {
    const canRetry = status === 503 && !OF_FAILED_VIEWS.has(code)
    this.json(status, { code, message, remedy, canRetry }, status === 401 ? { 'www-authenticate': 'Bearer' } : {})
  }

  /** Begins an answer that goes on; `onWritable` is called when a full buffer has emptied. */
  stream(contentType: string, onWritable: () => void): void {
    this.isTaken = true
    this.isStreaming = true
    this.#res.onWritable(() => {
      onWritable()
      return true
    })
    this.#res.cork(() => this.#head(200, contentType))
  }

  /** False: the buffer is full, nothing may be written before `onWritable`. */
  write(chunk: string | Uint8Array): boolean {
    if (this.isDone) return false
    let hasRoom = true
    this.#res.cork(() => {
      hasRoom = this.#res.write(chunk)
    })
    return hasRoom
  }

  end(): void {
    if (this.isDone) return
    this.isDone = true
    this.#res.cork(() => this.#res.end())
  }

  /** Drops the connection with what waits in it. */
  destroy(): void {
    if (!this.isDone) this.#res.close()
  }

  /** `protocol`: the subprotocol that was chosen, empty: none. Outside of the handler it has to be run by `LateUpgrade`. */
  upgrade<Data>(data: Data, protocol: string, request: HttpRequest, context: object): void {
    if (this.isDone) return
    this.isDone = true
    this.isTaken = true
    const key = request.header('sec-websocket-key')
    this.#res.upgrade(data, key, protocol, request.header('sec-websocket-extensions'), context)
  }

  #head(status: number, contentType: string, headers: Record<string, string> = {}): void {
    this.#res.writeStatus(STATUS[status]!)
    for (const [name, value] of Object.entries({ ...this.headers, ...headers })) this.#res.writeHeader(name, value)
    this.#res.writeHeader('content-type', contentType)
  }
}

/** Answers 304 to one who has what `tag` stands for; true: it did. */
export function isKnown(reply: HttpReply, request: HttpRequest, tag: string, contentType: string): boolean {
  const etag = `"${tag}"`
  const known = request.header('if-none-match').split(',')
  // A proxy that compresses makes a tag a weak one.
  if (!known.some((one) => one.trim().replace(/^W\//, '') === etag)) return false
  reply.send(304, contentType, '', { etag })
  return true
}

/** `context` is uWebSockets' own, of an upgrade. What a handler does after its first await is guarded as well. */
export type Handler = (reply: HttpReply, request: HttpRequest, context: object | undefined) => void | Promise<void>

/** Every handler goes through here: a throw, or no answer, is answered with 500. */
export function guarded(log: Log, handler: Handler): (res: UwsResponse, req: UwsRequest, context?: object) => void {
  return (res, req, context) => {
    const reply = new HttpReply(res)
    const failed = (error: unknown): void => {
      log.error({ err: error }, 'a handler of the push server failed')
      fail(reply, error instanceof Error ? error.message : String(error))
    }
    const ended = (): void => {
      if (!reply.isTaken) fail(reply, 'the handler gave no answer')
    }
    try {
      const pending = handler(reply, copyOf(res, req), context)
      if (pending === undefined) ended()
      else pending.then(ended).catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

/** A stream that has begun has no other way left to say so. */
function fail(reply: HttpReply, reason: string): void {
  if (reply.isStreaming) reply.destroy()
  else reply.error(500, new MillraceError('MR7010', { reason }))
}
