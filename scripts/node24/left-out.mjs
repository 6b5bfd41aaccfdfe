// What the run under Node 24 leaves out on a machine with an older glibc than uWebSockets.js for Node 24 needs. Pure.

/** As src/push/uws.ts has it for Node 24; a test holds them equal. */
export const PUSH_GLIBC_MIN = '2.38'

/** Test files that open the push server, themselves or through a job with a view. */
export const NEEDS_PUSH = [
  'test/client/view-client.test.ts',
  'test/push/readiness.test.ts',
  'test/push/server.test.ts',
  'test/push/uws.test.ts',
  'test/e2e/demo.test.ts',
  'test/e2e/page.test.ts',
]

/**
 * @param {string | undefined} glibc of this machine
 * @returns {string[]} test files
 */
export function leftOut(glibc) {
  return isOlder(glibc ?? '0', PUSH_GLIBC_MIN) ? NEEDS_PUSH : []
}

function isOlder(version, than) {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number))
  return a[0] < b[0] || (a[0] === b[0] && (a[1] ?? 0) < (b[1] ?? 0))
}
