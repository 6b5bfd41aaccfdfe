// Child processes of benches: Node programs whose last line of stdout is JSON. Main thread.
// Every child is ended with this process, by its own handle; nothing else is touched.
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { packageRoot } from '../../src/ops/package-root.ts'

/** How a child ended, and all that it said on stdout. */
export interface ChildEnd {
  code: number | undefined
  signal: NodeJS.Signals | undefined
  stdout: string
  /** The end of its stderr, at most STDERR_CHARS_KEPT. */
  stderrTail: string
}

export interface Child {
  readonly pid: number
  /** From `startChild` on, in ms of performance.now(). */
  readonly startedMs: number
  readonly end: Promise<ChildEnd>
  readonly hasEnded: boolean
  kill(signal: NodeJS.Signals): void
}

export interface ChildOptions {
  env?: Record<string, string>
  /** Called for each line of its stdout as it comes. */
  onLine?: (line: string) => void
  /** Show its stderr as ours. Default true. */
  showsErrors?: boolean
}

const STDERR_CHARS_KEPT = 20_000
const STDOUT_CHARS_MAX = 1 << 24
const running = new Set<ChildProcess>()
let isWatching = false

/** Starts a Node program. */
export function startChild(args: readonly string[], options: ChildOptions = {}): Child {
  watchOwnEnd()
  const startedMs = performance.now()
  const child = spawn(process.execPath, [...args], {
    cwd: packageRoot(),
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const output = collect(child, options)
  let hasEnded = false
  const end = new Promise<ChildEnd>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      hasEnded = true
      running.delete(child)
      resolve({ code: code ?? undefined, signal: signal ?? undefined, ...output })
    })
  })
  return {
    pid: child.pid ?? -1,
    startedMs,
    end,
    get hasEnded() {
      return hasEnded
    },
    kill: (signal) => child.kill(signal),
  }
}

function collect(
  child: ChildProcess,
  { onLine, showsErrors = true }: ChildOptions,
): { stdout: string; stderrTail: string } {
  const output = { stdout: '', stderrTail: '' }
  let line = ''
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    if (output.stdout.length < STDOUT_CHARS_MAX) output.stdout += text
    if (onLine === undefined) return
    const lines = (line + text).split('\n')
    line = lines.pop() ?? ''
    for (const one of lines) onLine(one)
  })
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    output.stderrTail = (output.stderrTail + text).slice(-STDERR_CHARS_KEPT)
    if (showsErrors) process.stderr.write(text)
  })
  return output
}

function watchOwnEnd(): void {
  if (isWatching) return
  isWatching = true
  process.on('exit', () => {
    for (const child of running) child.kill('SIGKILL')
  })
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => process.exit(code))
}

/** Arguments of Node that run a TypeScript program of this repository. */
export function programArgs(entry: string, args: readonly string[] = []): string[] {
  return [fileURLToPath(new URL('scripts/run-ts.mjs', `file://${packageRoot()}/`)), entry, ...args]
}

/**
 * The object on the last line of stdout of a program that has to end with code 0. Throws what the program said instead.
 */
export async function resultOf<T>(name: string, child: Child): Promise<T> {
  const end = await child.end
  if (end.code !== 0) {
    throw new Error(`${name} ended with ${end.signal ?? `code ${end.code}`}: ${end.stderrTail.slice(-2_000)}`)
  }
  return lastJson<T>(name, end.stdout)
}

function lastJson<T>(name: string, stdout: string): T {
  const line = stdout.trimEnd().split('\n').at(-1) ?? ''
  try {
    return JSON.parse(line) as T
  } catch (cause) {
    throw new Error(`${name} did not end with a line of JSON but with: ${line.slice(0, 500)}`, { cause })
  }
}

/** Runs a TypeScript program of this repository to its end and gives its result. */
export function runProgram<T>(entry: string, args: readonly string[], env: Record<string, string> = {}): Promise<T> {
  return resultOf<T>(entry, startChild(programArgs(entry, args), { env: { RUN_TS_IS_SET_UP: '1', ...env } }))
}
