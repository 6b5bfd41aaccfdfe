// Sets up what is missing, then runs every suite, one after another; `node scripts/test.mjs quick types` runs just those.
// `--without PATH` leaves a test file out and may be repeated.
// At the end every failed test is told once more, with why; the very last line is `N passed, N failed`; the exit code is not 0 when anything failed or nothing ran.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { requireBrokerTools } from './kafka-jars.mjs'
import { root, SetupError } from './setup/commands.mjs'
import { chromium } from './setup/steps.mjs'
import { orExplain, setUp } from './setup.mjs'

/** A suite that takes this many times its budget hangs, and is ended. */
const HANGS_AT_BUDGETS = 5
const reports = join(root, '.cache/test')

/**
 * In the order they run, quick news first. `project`: a vitest project, else a command that counts as one test.
 * The budget is what a suite may take on two cores; over it is a warning.
 */
const SUITES = [
  {
    name: 'biome',
    budgetSeconds: 20,
    command: ['node_modules/@biomejs/biome/bin/biome', 'check', '--diagnostic-level=error'],
  },
  { name: 'typecheck', budgetSeconds: 60, command: ['node_modules/typescript/bin/tsc', '--noEmit'] },
  {
    name: 'typecheck-page',
    budgetSeconds: 60,
    command: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'examples/candles/page'],
  },
  { name: 'quick', budgetSeconds: 60, project: 'quick' },
  { name: 'property', budgetSeconds: 120, project: 'property' },
  { name: 'types', budgetSeconds: 60, project: 'types' },
  { name: 'integration', budgetSeconds: 400, project: 'integration', needsBroker: true },
  { name: 'e2e', budgetSeconds: 500, project: 'e2e', needsBroker: true, needsBrowser: true },
]

const without = []
/** SIGTERM has come: the suite that runs is ended, and no other is started. */
let isStopped = false

await orExplain(async () => {
  const suites = chosenSuites(namesOf(process.argv.slice(2)))
  if (suites.some((suite) => suite.needsBroker)) checkBroker()
  await setUp(suites.some((suite) => suite.needsBrowser) ? [chromium] : [])
  mkdirSync(reports, { recursive: true })
  const outcomes = []
  for (const suite of suites) if (!isStopped) outcomes.push(await runSuite(suite))
  tell(outcomes)
  if (isStopped) process.exitCode = 143
})

/** The names of suites; files to leave out are noted. */
function namesOf(args) {
  const names = []
  for (let i = 0; i < args.length; i++) {
    if (args[i] !== '--without') names.push(args[i])
    else if (existsSync(join(root, args[++i] ?? ''))) without.push(args[i])
    else throw new SetupError(`--without needs a test file, there is no ${args[i]}`)
  }
  return names
}

function chosenSuites(names) {
  const unknown = names.filter((name) => !SUITES.some((suite) => suite.name === name))
  if (unknown.length > 0) {
    throw new SetupError(
      `there is no suite ${unknown.join(', ')}; there are ${SUITES.map((suite) => suite.name).join(', ')}`,
    )
  }
  return names.length === 0 ? SUITES : SUITES.filter((suite) => names.includes(suite.name))
}

/** Said before the long set-up: what is missing for a broker. */
function checkBroker() {
  if (process.env.KAFKA_BROKERS) return
  try {
    requireBrokerTools()
  } catch (error) {
    throw new SetupError(error.message)
  }
}

/** @returns {Promise<{ suite: object, passed: number, failed: number, failures: string[], seconds: number, problem: string }>} */
async function runSuite(suite) {
  process.stdout.write(`\n=== ${suite.name} (budget ${suite.budgetSeconds} s)\n`)
  const report = join(reports, `${suite.name}.json`)
  rmSync(report, { force: true })
  const args = suite.command ?? [
    'node_modules/vitest/vitest.mjs',
    'run',
    ...['--project', suite.project],
    ...['--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
  ]
  const startMs = performance.now()
  const ending = await runChild(args, suite.budgetSeconds * HANGS_AT_BUDGETS)
  const seconds = (performance.now() - startMs) / 1000
  const counts = suite.command ? { passed: 0, failed: 0, failures: [] } : countsOf(report)
  // An ending that no failed test explains (an error outside of tests, a crash, a hang) is a failure of its own.
  if (ending !== undefined && counts.failed === 0) counts.failed = 1
  else if (suite.command) counts.passed = 1
  return { suite, ...counts, seconds, problem: ending ?? '' }
}

/** Runs Node with `args` in the root; undefined when it ended well, else how it ended. */
async function runChild(args, limitSeconds) {
  const env = without.length === 0 ? process.env : { ...process.env, TEST_WITHOUT: without.join(',') }
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: 'inherit' })
  const forward = () => {
    isStopped = true
    child.kill('SIGTERM')
  }
  process.on('SIGTERM', forward)
  let isHung = false
  const limit = setTimeout(() => {
    isHung = true
    child.kill('SIGKILL')
  }, limitSeconds * 1000)
  const ending = await new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(code === 0 ? undefined : `exit ${signal ?? code}`))
  })
  clearTimeout(limit)
  process.off('SIGTERM', forward)
  return isHung ? `ended after ${limitSeconds} s: it hangs` : ending
}

/** Passed and failed tests of vitest's JSON report, with what is said of each failed one; a file that could not be run counts as one. */
function countsOf(report) {
  if (!existsSync(report)) return { passed: 0, failed: 0, failures: [] }
  const { numPassedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'))
  const failures = testResults.flatMap((file) => {
    const tests = file.assertionResults.filter((test) => test.status === 'failed')
    const isBroken = file.status === 'failed' && tests.length === 0
    const name = relative(root, file.name)
    if (isBroken) return [`${name}\n${file.message}`]
    return tests.map((test) => `${name}: ${test.fullName}\n${test.failureMessages.join('\n')}`)
  })
  return { passed: numPassedTests, failed: failures.length, failures }
}

function tell(outcomes) {
  process.stdout.write('\n')
  for (const failure of outcomes.flatMap((outcome) => outcome.failures)) process.stdout.write(`FAILED ${failure}\n\n`)
  let passed = 0
  let failed = 0
  for (const outcome of outcomes) {
    passed += outcome.passed
    failed += outcome.failed
    const { name, budgetSeconds } = outcome.suite
    const overBudget = outcome.seconds > budgetSeconds ? ` - WARNING: over its budget of ${budgetSeconds} s` : ''
    const words = `${outcome.passed} passed, ${outcome.failed} failed in ${outcome.seconds.toFixed(1)} s`
    process.stdout.write(`${name.padEnd(12)} ${words}${outcome.problem && ` (${outcome.problem})`}${overBudget}\n`)
  }
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
  process.stdout.write(`${passed} passed, ${failed} failed\n`)
}
