// Sets a fresh machine up: `node scripts/setup.mjs`. Needs Node and a C++ tool chain; a second run takes well under a
// second. Talks on stderr, so that a command started after it owns stdout. Node built-ins only.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endCommands, root, SetupError } from './setup/commands.mjs'
import { takeLock } from './setup/lock.mjs'
import { setupSteps } from './setup/steps.mjs'

const TICK_MS = 1000
const isTerminal = process.stderr.isTTY === true

/**
 * Does what is not done yet. Throws a SetupError that says what to do.
 *
 * @param {import('./setup/steps.mjs').Step[]} [more] steps beyond the usual ones
 */
export async function setUp(more = []) {
  const startMs = performance.now()
  const steps = [...setupSteps(), ...more]
  if (!steps.every((step) => step.isDone())) await doLocked(steps)
  process.stderr.write(`set-up: ready (${secondsSince(startMs)} s)\n`)
}

async function doLocked(steps) {
  const waiting = (pid) => process.stderr.write(`set-up: waiting for the one of process ${pid}\n`)
  const letGo = await takeLock(join(root, '.cache/setup/lock'), waiting)
  const onSignal = (signal) => {
    endCommands(signal)
    letGo()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    for (const [i, step] of steps.entries()) {
      if (!step.isDone()) await show(`[${i + 1}/${steps.length}] ${step.name}`, step)
    }
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    letGo()
  }
}

/** Runs a step; on a terminal its seconds tick, elsewhere it has one line at the start and one at the end. */
async function show(title, step) {
  const startMs = performance.now()
  const about = step.aboutSeconds > 1 ? ` (about ${step.aboutSeconds} s)` : ''
  const line = () => `${title} ... ${secondsSince(startMs)} s${about}`
  process.stderr.write(isTerminal ? line() : `${title} ...${about}\n`)
  const ticker = isTerminal ? setInterval(() => process.stderr.write(`\r${line()}`), TICK_MS) : undefined
  try {
    await step.run()
    process.stderr.write(isTerminal ? `\r${line()}\n` : `${title} done in ${secondsSince(startMs)} s\n`)
  } catch (error) {
    process.stderr.write(isTerminal ? `\r${line()} FAILED\n` : `${title} FAILED after ${secondsSince(startMs)} s\n`)
    throw error
  } finally {
    clearInterval(ticker)
  }
}

function secondsSince(startMs) {
  const seconds = (performance.now() - startMs) / 1000
  return seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0)
}

/** Runs `main`; a SetupError is told without a stack, exit code 1. */
export async function orExplain(main) {
  try {
    await main()
  } catch (error) {
    process.stderr.write(`${error instanceof SetupError ? `set-up: ${error.message}` : error.stack}\n`)
    process.exitCode = 1
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await orExplain(() => setUp())
