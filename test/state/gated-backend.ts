// A backend whose writes wait at a gate until the test lets them through, fails them or drops them. Quick.
// Keeps SPEC: STATE-1, STATE-7.

import type { Backend } from '../../src/state/contract.ts'

export interface Gate {
  backend: Backend
  /** Resolves when a write waits at the gate. */
  reached(): Promise<void>
  /** Lets the waiting write through. */
  release(): void
  /** Fails the waiting write. */
  fail(error: Error): void
  /** Drops the waiting write, as a crash before its commit does. */
  abandon(): void
}

/** A gate in front of `inner`: everything but writes passes. */
export function gatedBackend(inner: Backend): Gate {
  let waiting: { open: () => void; fail: (error: Error) => void } | undefined
  let onReached: (() => void) | undefined
  const backend: Backend = {
    get: (key) => inner.get(key),
    range: (from, to) => inner.range(from, to),
    firstKeyAtOrAfter: (from) => inner.firstKeyAtOrAfter(from),
    meta: () => inner.meta(),
    wipe: () => inner.wipe(),
    close: () => inner.close(),
    async write(rows, meta) {
      await new Promise<void>((open, fail) => {
        waiting = { open, fail }
        onReached?.()
      })
      await inner.write(rows, meta)
    },
  }
  return {
    backend,
    reached: () =>
      new Promise((resolve) => {
        if (waiting !== undefined) resolve()
        else onReached = resolve
      }),
    release() {
      waiting?.open()
      waiting = undefined
      onReached = undefined
    },
    fail(error) {
      waiting?.fail(error)
      waiting = undefined
    },
    abandon() {
      waiting = undefined
      onReached = undefined
    },
  }
}
