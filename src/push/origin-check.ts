// Who may connect from a browser: the page's own origin and those that are allowed by name. Pure.
// Keeps SPEC: PUSH-8 (a foreign page cannot read the views through its visitor's browser).

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]', '::1'])

/**
 * True when a request with these headers may be served. Without an Origin (curl, services, a page's own GET) the Host
 * decides: a server that listens on loopback answers to loopback names only, so that no foreign name can be bound to it.
 *
 * @example
 * isAllowed({ origin: 'https://evil.example', host: 'localhost:8080' }, '127.0.0.1', []) // false
 */
export function isAllowed(
  headers: { origin: string; host: string },
  listenHost: string,
  allowedOrigins: readonly string[],
): boolean {
  const { origin, host } = headers
  if (origin !== '' && (allowedOrigins.includes(origin) || allowedOrigins.includes('*'))) return true
  if (LOOPBACK.has(listenHost) && !LOOPBACK.has(host.replace(/:\d+$/, ''))) return false
  return origin === '' || origin.replace(/^https?:\/\//, '') === host
}
