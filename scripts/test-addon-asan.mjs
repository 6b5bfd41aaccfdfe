// Runs the integration tests of the Kafka clients with the addon built under AddressSanitizer: memory used after it is
// freed, or beyond its end, ends the run with a report. Needs libasan (it comes with gcc) and a broker's tools.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { buildCheckedAddon } from './build-addon.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const suites = ['test/integration/kafka-port.test.ts', 'test/integration/kafka-teardown.test.ts']

const addon = buildCheckedAddon()
const library = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout.trim()
if (!library.includes('/')) throw new Error('libasan.so was not found: install gcc with its sanitizers')
const run = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', '--project', 'integration', ...suites],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      LD_PRELOAD: library,
      MILLRACE_KAFKA_ADDON: addon,
      // Node itself never frees what it keeps to its end, so leaks are not looked for.
      ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
    },
  },
)
process.exitCode = run.status ?? 1
