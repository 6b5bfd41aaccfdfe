// A request as the handlers get it: copied, because uWebSockets' own is gone after the first await. Main thread.
// Keeps SPEC: PUSH-7 (no request ends the process).

import { addressOf, type UwsRequest, type UwsResponse } from './uws.ts'

/** Parts of a path that routes name; the longest is `/views/:view/:key`. */
const PARAMETERS_MAX = 2

export interface HttpRequest {
  path: string
  query: URLSearchParams
  /** The named parts of the path, decoded. */
  parameters: readonly string[]
  /** Address of the other end of the connection, as text: of a proxy where there is one. */
  peer: string
  /** By its name in small letters, empty where there is none; of several of one name all, separated by commas. */
  header(name: string): string
}

/** Copies all that handlers use; bounded by what uWebSockets takes as the head of a request. */
export function copyOf(res: UwsResponse, req: UwsRequest): HttpRequest {
  const headers = new Map<string, string>()
  req.forEach((name, value) => {
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before},${value}`)
  })
  return {
    path: req.getUrl(),
    query: new URLSearchParams(req.getQuery()),
    parameters: Array.from({ length: PARAMETERS_MAX }, (_, index) => decoded(req.getParameter(index) ?? '')),
    peer: addressOf(res),
    header: (name) => headers.get(name) ?? '',
  }
}

/** What is not well encoded stays as it came and names nothing: the answer to it is 404, with the name as it was sent. */
function decoded(raw: string): string {
  try {
    return decodeURIComponent(raw)
  } catch {
    return raw
  }
}
