// Where a request carries its token. Pure.
// Keeps SPEC: PUSH-25 (a token comes in a header, in the subprotocols of a browser, and in the address only where that is allowed).

import type { HttpRequest } from './http-request.ts'

/** Of a browser's WebSocket, which can set no header: `['millrace.json.v1', 'bearer.<token>']`. The server never answers with it. */
const PROTOCOL_PREFIX = 'bearer.'
const QUERY_NAME = 'token'

/**
 * The token of a request; undefined: it has none.
 *
 * @example
 * tokenOf(request, false) // of `Authorization: Bearer <token>`
 */
export function tokenOf(request: Pick<HttpRequest, 'header' | 'query'>, allowsQuery: boolean): string | undefined {
  const header = /^bearer +(\S+)$/i.exec(request.header('authorization'))?.[1]
  if (header !== undefined) return header
  const protocols = request.header('sec-websocket-protocol').split(',')
  const protocol = protocols.map((one) => one.trim()).find((one) => one.startsWith(PROTOCOL_PREFIX))
  if (protocol !== undefined) return protocol.slice(PROTOCOL_PREFIX.length) || undefined
  return (allowsQuery && request.query.get(QUERY_NAME)) || undefined
}

/** The subprotocols that a client asks for, without its token: what errors and logs may show. */
export function protocolsOf(request: Pick<HttpRequest, 'header'>): string[] {
  const names = request.header('sec-websocket-protocol').split(',')
  return names.map((name) => name.trim()).filter((name) => name !== '' && !name.startsWith(PROTOCOL_PREFIX))
}
