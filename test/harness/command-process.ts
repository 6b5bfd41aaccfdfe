// A Node program under test: its output as it comes, its end, and no process left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')
/** The launcher of the command, as the package's `bin` has it. */
export const LAUNCHER = join(root, 'bin/millrace.cjs')

const running: CommandProcess[] = []

/** Kills what tests have left behind; call it after each. */
export function endCommandProcesses(): void {
  for (const one of running.splice(0)) one.child.kill('SIGKILL')
}

/**
 * Starts Node with `args` at the root of the repository.
 *
 * @example
 * const run = new CommandProcess([LAUNCHER, 'demo', '--json'])
 * await run.saying('ready in')
 * run.child.kill('SIGTERM')
 * expect(await run.exit()).toBe(0)
 */
export class CommandProcess {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly #closed: Promise<number | null>
  #look = () => {}

  constructor(args: string[], env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.push(this)
    this.child.stdout!.on('data', (data) => {
      this.stdout += String(data)
    })
    this.child.stderr!.on('data', (data) => {
      this.stderr += String(data)
      this.#look()
    })
    this.#closed = once(this.child, 'close').then(([code]) => code as number | null)
  }
  /** Resolves when stderr matches; rejects when the process ends before. */
  async saying(words: RegExp): Promise<RegExpExecArray> {
    let hasClosed = false
    this.#closed.then(() => {
      hasClosed = true
      this.#look()
    })
    for (;;) {
      const match = words.exec(this.stderr)
      if (match !== null) return match
      if (hasClosed) throw new Error(`the process ended and never said ${words}: ${this.stderr}`)
      await new Promise<void>((resolve) => {
        this.#look = resolve
      })
    }
  }
  /** The exit code; null after a signal. */
  exit(): Promise<number | null> {
    return this.#closed
  }
  /** The object of the last line of stdout. */
  json(): Record<string, unknown> {
    return JSON.parse(this.stdout.trimEnd().split('\n').at(-1)!)
  }
}
