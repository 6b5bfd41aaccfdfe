import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const alias = {
  'millrace/test': fileURLToPath(new URL('./src/testing/index.ts', import.meta.url)),
  'millrace/client/react': fileURLToPath(new URL('./src/client/react.ts', import.meta.url)),
  'millrace/client': fileURLToPath(new URL('./src/client/index.ts', import.meta.url)),
  millrace: fileURLToPath(new URL('./src/index.ts', import.meta.url)),
}

/** Files that a run leaves out, separated by commas (scripts/test.mjs --without); `--exclude` does not reach projects. */
const without = process.env.TEST_WITHOUT?.split(',') ?? []

/** A condition that a test waits for comes within this time on any machine; vitest's 1 s is short on a busy one. */
const POLL_LIMIT_MS = 10_000

/** Suites by what they need: `quick` nothing, `property` time for many cases (random ones, tables in all modes, Nexmark), `integration` and `e2e` a real broker (started by the harness). */
export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'quick',
          pool: 'forks',
          // Many wait for something: as many at a time as there are cores would leave them half idle.
          maxWorkers: 3,
          // Starting a process for each of a hundred files would take longer than their tests.
          isolate: false,
          include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
          exclude: [
            ...['test/golden/**', 'test/property/**', 'test/integration/**', 'test/e2e/**'],
            ...['examples/nexmark/nexmark.test.ts', ...without],
          ],
          globalSetup: ['test/harness/build-setup.ts'],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          expect: { poll: { timeout: POLL_LIMIT_MS } },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'property',
          pool: 'forks',
          include: ['test/golden/**/*.test.ts', 'test/property/**/*.test.ts', 'examples/nexmark/nexmark.test.ts'],
          exclude: without,
          globalSetup: ['test/harness/build-setup.ts'],
          testTimeout: 120_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'types',
          include: [],
          typecheck: { enabled: true, only: true, include: ['test/**/*.test-d.ts'], tsconfig: './tsconfig.json' },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'integration',
          pool: 'forks',
          include: ['test/integration/**/*.test.ts'],
          exclude: without,
          globalSetup: ['test/harness/build-setup.ts', 'test/harness/broker-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: POLL_LIMIT_MS } },
          // Two at a time are quicker, but then calls that meet a frozen broker were seen to hang in librdkafka for good.
          fileParallelism: false,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'e2e',
          pool: 'forks',
          include: ['test/e2e/**/*.test.ts'],
          exclude: without,
          globalSetup: ['test/harness/build-setup.ts', 'test/harness/broker-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: POLL_LIMIT_MS } },
          fileParallelism: false,
        },
      },
    ],
  },
})
