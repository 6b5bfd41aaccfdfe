// How much the kernel takes for a client that does not read: megabytes, unless it is told. The one place that loads the addon (native/),
// as uWebSockets has no call for it. Main thread.
// Keeps SPEC: PUSH-46 (what was taken for a client and cannot be replaced any more is little).

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { MillraceError } from '../core/errors.ts'
import type { Log } from '../ops/log.ts'
import { packageRoot } from '../ops/package-root.ts'

export interface PushAddon {
  /**
   * Sets TCP_NOTSENT_LOWAT on the sockets of this process that listen on a port; connections that they accept from then on have it
   * too. Returns how many there were; throws with the reason of the system.
   */
  limitUnsent(port: number, bytes: number): number
}

const FILE = 'src/push/native/build/Release/millrace_push.node'
const require = createRequire(import.meta.url)

/** Throws MR3005 when it is not built. */
export function loadPushAddon(path = join(packageRoot(), FILE)): PushAddon {
  try {
    return require(path) as PushAddon
  } catch (cause) {
    const remedy = 'Run `node scripts/build-addon.mjs`; it needs node-gyp, a C++20 compiler, make and python3.'
    throw new MillraceError('MR3005', { part: 'millrace_push.node', reason: String(cause), remedy }, { cause })
  }
}

export interface UnsentLimit {
  port: number
  /** Of a client. */
  bytes: number
  log: Log
  load?: () => PushAddon
}

/**
 * Limits what the kernel takes for each client of a port. A server without it works, so what goes wrong is logged.
 *
 * @example
 * limitUnsent({ port: 8080, bytes: 128 << 10, log })
 */
export function limitUnsent({ port, bytes, log, load = loadPushAddon }: UnsentLimit): void {
  const text = 'the system keeps up to its own limit (megabytes) for each client that does not read'
  try {
    if (load().limitUnsent(port, bytes) === 0) log.warn({ port }, `${text}: no socket listens on the port`)
  } catch (err) {
    log.warn({ err, port }, text)
  }
}
