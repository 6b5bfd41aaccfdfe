// What the run under Node 24 leaves out: on a machine with an older glibc than uWebSockets.js for Node 24 needs, and in the Debian 13
// that has a newer one. Pure.

/** As src/push/uws.ts has it for Node 24; a test holds them equal. */
export const PUSH_GLIBC_MIN = '2.38'

/** Files of the quick suite that open the push server. */
export const NEEDS_PUSH = [
  'test/client/client.test.ts',
  'test/client/event-stream.test.ts',
  'test/client/guide.test.ts',
  'test/client/history.test.ts',
  'test/client/provisional.test.ts',
  'test/client/react.test.ts',
  'test/push/auth.test.ts',
  'test/push/cross-origin.test.ts',
  'test/push/drain.test.ts',
  'test/push/feed.test.ts',
  'test/push/fuzz.test.ts',
  'test/push/gap-check.test.ts',
  'test/push/history.test.ts',
  'test/push/limits.test.ts',
  'test/push/page.test.ts',
  'test/push/provisional.test.ts',
  'test/push/readiness.test.ts',
  'test/push/reads.test.ts',
  'test/push/rights.test.ts',
  'test/push/row-phase.test.ts',
  'test/push/server.test.ts',
  'test/push/subscriptions.test.ts',
  'test/push/transcripts.test.ts',
  'test/push/unsent-limit.test.ts',
  'test/push/uws.test.ts',
  'test/push/view-copy.test.ts',
]

/** Files about the machine that the native parts are built on; the Debian 13 has no compiler. */
export const NEEDS_COMPILER = ['test/scripts/libraries.test.ts']

/** Suites of jobs with views. */
export const NEEDS_PUSH_SUITES = ['integration', 'e2e']

/** @param {string | undefined} glibc of this machine; undefined: another C library */
export function isNewEnough(glibc) {
  const [a, b] = [glibc ?? '0', PUSH_GLIBC_MIN].map((text) => text.split('.').map(Number))
  return a[0] > b[0] || (a[0] === b[0] && (a[1] ?? 0) >= b[1])
}
