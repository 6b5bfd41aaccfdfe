// What a command is to the program: words for its help and a function that returns its result. Main thread.
// Keeps SPEC: CLI-2 (exit code 0 done, 1 failed or a check failed, 2 the request itself is not valid).

import type { Command } from 'commander'
import { type ErrorCode, MillraceError } from '../core/errors.ts'
import type { Terminal } from './terminal.ts'

export interface CommandContext {
  terminal: Terminal
  env: Record<string, string | undefined>
  isJson: boolean
}

/** The one object of the last line with `--json`; `correct` only where something is checked. */
export interface CommandResult {
  command: string
  correct?: boolean
  [name: string]: unknown
}

export interface CommandSpec {
  /** Adds the command with its arguments and options, without an action. */
  define(program: Command): Command
  /** Fields of its JSON line, for the reference: `name: meaning`. */
  jsonFields: Readonly<Record<string, string>>
  /** Does it. Without `--json` it writes its data itself; the result is then only judged. */
  run(args: string[], options: Record<string, unknown>, context: CommandContext): Promise<CommandResult>
}

/** Errors of the request itself. */
const REQUEST_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'MR1001',
  'MR1002',
  'MR1005',
  'MR3001',
  'MR3002',
  'MR3003',
  'MR3007',
])

/** The exit code for an error that ended a command. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof MillraceError && REQUEST_ERRORS.has(error.code) ? 2 : 1
}

/** An error as the JSON line has it. */
export function errorFields(error: unknown): { code: string | undefined; message: string; remedy: string | undefined } {
  if (error instanceof MillraceError) return { code: error.code, message: error.message, remedy: error.remedy }
  return { code: undefined, message: error instanceof Error ? error.message : String(error), remedy: undefined }
}

/** An error in words: text and remedy, and the stack where it is none of ours. */
export function errorWords(error: unknown): string {
  if (error instanceof MillraceError) return `${error.message}\n  ${error.remedy}`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
