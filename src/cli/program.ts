// The program: its commands, their flags, and one way from arguments to an exit code. Main thread.
// Keeps SPEC: CLI-1 (data on stdout, words on stderr), CLI-2 (exit codes), CLI-3 (with --json the last line is one object).

import { Command, CommanderError } from 'commander'
import { MillraceError } from '../core/errors.ts'
import { packageVersion } from '../ops/package-root.ts'
import {
  type CommandContext,
  type CommandResult,
  type CommandSpec,
  errorFields,
  errorWords,
  exitCodeOf,
} from './command.ts'
import { capture } from './commands/capture.ts'
import { demo } from './commands/demo.ts'
import { explain } from './commands/explain.ts'
import { genTrades } from './commands/gen-trades.ts'
import { health } from './commands/health.ts'
import { plan } from './commands/plan.ts'
import { reset } from './commands/reset.ts'
import { run } from './commands/run.ts'
import { serve } from './commands/serve.ts'
import { test } from './commands/test.ts'
import { type Streams, Terminal } from './terminal.ts'

/** All commands by the words that call them. */
export const COMMANDS: Readonly<Record<string, CommandSpec>> = {
  run,
  serve,
  plan,
  test,
  capture,
  reset,
  demo,
  'gen trades': genTrades,
  health,
  explain,
}

const JSON_FLAG = ['--json', 'data as JSON on stdout; its last line is one object with `command`'] as const

/** What was asked for, found by parsing. */
interface Request {
  name: string
  args: string[]
  options: Record<string, unknown>
}

/**
 * The commander program. `called` gets the command that the arguments ask for.
 *
 * @example
 * buildProgram(() => {}, streams).helpInformation()
 */
export function buildProgram(called: (request: Request) => void, streams: Streams): Command {
  const program = new Command('millrace')
    .description(
      'Stream processing for Node.js: windowed, stateful, exactly once, from Kafka to Kafka and to the browser.',
    )
    .option('-V, --version', 'print the version')
    .option(...JSON_FLAG)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      // Errors are told once, by `runCli`.
      writeErr: () => {},
      outputError: () => {},
    })
  const gen = program.command('gen').description('write test data to a topic')
  for (const [name, spec] of Object.entries(COMMANDS)) {
    const command = spec.define(name.startsWith('gen ') ? gen : program)
    command.option(...JSON_FLAG).action((...given: unknown[]) => {
      called({ name, args: command.args, options: (given.at(-1) as Command).optsWithGlobals() })
    })
  }
  return program
}

/**
 * Runs the command that `args` ask for and returns the exit code: 0 done, 1 failed or a check failed, 2 the request is
 * not valid. Never throws.
 */
export async function runCli(
  args: string[],
  streams: Streams,
  env: Record<string, string | undefined>,
): Promise<0 | 1 | 2> {
  const terminal = new Terminal(streams)
  const isJson = args.includes('--json')
  let name = 'millrace'
  try {
    const request = requestOf(args, streams)
    if (request === undefined) return 0
    name = request.name
    const context = { terminal, env, isJson }
    const result = await perform(request, context)
    terminal.endStatus()
    if (isJson) terminal.data(JSON.stringify(result))
    return result.correct === false ? 1 : 0
  } catch (error) {
    terminal.endStatus()
    terminal.say(errorWords(error))
    if (isJson) terminal.data(JSON.stringify({ command: name.split(' ')[0], error: errorFields(error) }))
    return exitCodeOf(error)
  }
}

/** Undefined when the arguments asked for help, which is printed then. Throws MR3002. */
function requestOf(args: string[], streams: Streams): Request | undefined {
  let request: Request | undefined
  const program = buildProgram((called) => {
    request = called
  }, streams)
  try {
    if (program.parseOptions(args).operands.length === 0 && (args.includes('--version') || args.includes('-V'))) {
      return { name: 'version', args: [], options: {} }
    }
    program.parse(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.code === 'commander.helpDisplayed') return undefined
    throw new MillraceError('MR3002', { reason: reasonOf(error, program) })
  }
  return request
}

function reasonOf(error: CommanderError, program: Command): string {
  if (error.code !== 'commander.help') return wordsOf(error.message)
  return `a command is needed: ${Object.keys(COMMANDS).join(', ')}\n\n${program.helpInformation()}`
}

/** A misspelt flag is named without its value: `--kafka-sasl-password=...` is easily written. */
function wordsOf(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(/'(--?[\w.-]+)=[^']*'/g, "'$1=...'")
    .replace(/\s+/g, ' ')
}

async function perform(request: Request, context: CommandContext): Promise<CommandResult> {
  if (request.name === 'version') {
    const version = packageVersion()
    if (!context.isJson) context.terminal.data(version)
    return { command: 'version', version }
  }
  return await COMMANDS[request.name]!.run(request.args, request.options, context)
}
