// Whose connection it is: of the other end, or of the client that the proxies in front say. Pure.
// Keeps SPEC: PUSH-29 (what a client says of its own address is not believed).

import { isIP } from 'node:net'
import type { HttpRequest } from './http-request.ts'

/**
 * The client's address. Each proxy notes behind what it was told whom it was asked by, so with `proxyCount` of them before this server the
 * client is that many from the end; what stands before it the client may have made up. With fewer entries, it is the first.
 *
 * @example
 * // X-Forwarded-For: made up, 203.0.113.9 and one proxy: 203.0.113.9
 */
export function clientAddress({ header, peer }: Pick<HttpRequest, 'header' | 'peer'>, proxyCount: number): string {
  if (proxyCount === 0) return peer
  const entries = header('x-forwarded-for').split(',')
  const entry = entries[Math.max(0, entries.length - proxyCount)]!.trim()
  const address = withoutPort(entry)
  return isIP(address) === 0 ? peer : address
}

/** Some proxies write the port too: `203.0.113.9:4711`, `[2001:db8::1]:4711`. */
function withoutPort(entry: string): string {
  return /^\[(.+)\](:\d+)?$/.exec(entry)?.[1] ?? /^([\d.]+):\d+$/.exec(entry)?.[1] ?? entry
}
