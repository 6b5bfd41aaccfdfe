// The log of the process: structured, one JSON object a line, or pretty lines on a terminal. Main thread.
// Keeps SPEC: LOG-1 (logs go to stderr, data to stdout), CONFIG-3 (no secret is in a line).
import { type DestinationStream, type Logger, pino } from 'pino'
import { redacted } from './redact.ts'

export type Log = Logger

export interface LogOptions {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  /** `auto`: pretty when `isTerminal`. */
  format: 'auto' | 'json' | 'pretty'
  isTerminal: boolean
  /** Where lines go; stderr when absent. */
  write?: (line: string) => void
}

/**
 * Makes the log. Write as `log.info({ topic, records }, 'what happened')`; an error goes under the key `err`.
 *
 * @example
 * const log = createLog({ ...config.log, isTerminal: process.stderr.isTTY === true })
 * log.warn({ lane: 2 }, 'the lane is slow')
 */
export function createLog(options: LogOptions): Log {
  const out = options.write ?? ((line: string) => void process.stderr.write(line))
  const write = (line: string) => out(redacted(line))
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && options.isTerminal)
  const destination: DestinationStream = { write: isPretty ? (line) => write(prettyLine(line)) : write }
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return pino(settings, destination)
}

/**
 * `{"level":"info","time":"...T12:34:56.789Z","msg":"started","lanes":2}` -> `12:34:56.789 INFO  started lanes=2`.
 * The stack of an error follows on its own lines.
 */
export function prettyLine(line: string): string {
  const { level, time, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>
  const words = [String(time).slice(11, 23), String(level).toUpperCase().padEnd(5), String(msg ?? '')]
  for (const [key, value] of Object.entries(rest)) words.push(`${key}=${prettyValue(value)}`)
  const error = err as { message?: string; stack?: string } | undefined
  const stack = error === undefined ? '' : `\n${error.stack ?? error.message ?? JSON.stringify(err)}`
  return `${words.join(' ')}${stack}\n`
}

function prettyValue(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
}
