// Runs commands for the set-up: output to a log file, whole process groups ended on a signal. Node built-ins only.
import { spawn } from 'node:child_process'
import { accessSync, constants, createWriteStream, mkdirSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const LOG_LINES_SHOWN = 40

/** Commands that run now; each leads its own process group. */
const running = new Set()

/** A set-up problem that the user can mend: printed without a stack. */
export class SetupError extends Error {}

/**
 * Runs a command to its end; all it prints goes to `logPath` (appended). Throws a SetupError with the last lines.
 *
 * @param {string} logPath
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined> }} [options]
 */
export async function run(logPath, command, args, options = {}) {
  mkdirSync(dirname(logPath), { recursive: true })
  const log = createWriteStream(logPath, { flags: 'a' })
  log.write(`\n$ ${command} ${args.join(' ')}\n`)
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  const outcome = await new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(code === 0 ? undefined : `exit ${signal ?? code}`))
  })
  running.delete(child)
  await new Promise((resolve) => log.end(resolve))
  if (outcome === undefined) return
  const tail = readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n')
  throw new SetupError(`\`${command} ${args.join(' ')}\` failed (${outcome}); the end of ${logPath}:\n${tail}`)
}

/** Ends every command that runs now, with its children. */
export function endCommands(signal = 'SIGTERM') {
  for (const child of running) {
    try {
      process.kill(-child.pid, signal)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
}

/** True when `command` is an executable on the PATH. */
export function isOnPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => isExecutable(join(folder, command)))
}

export function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
