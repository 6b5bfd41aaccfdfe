// `millrace health`: asks the admin server of a running job, for probes of containers without another client. Main thread.
// Keeps SPEC: OPS-2 (exit code 0 only for an answer of 200, within a limit).

import { Option } from 'commander'
import { MillraceError } from '../../core/errors.ts'
import type { CommandSpec } from '../command.ts'
import { addConfigFlags, configFromFlags } from '../config-flags.ts'
import { wholeNumber } from '../number-argument.ts'

const TIMEOUT_MS = 3000
const KEYS = new Set(['http.host', 'http.port'])
/** What listens on every address is asked on this machine's own. */
const OWN_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }

export const health: CommandSpec = {
  define: (program) =>
    addConfigFlags(
      program
        .command('health')
        .description('ask the job that runs on this machine whether it is healthy; exit code 1 when it is not')
        .option('--ready', 'ask whether it is ready instead')
        .addOption(
          new Option('--timeout-ms <ms>', 'an answer that takes longer is none')
            .argParser(wholeNumber(1, 600_000))
            .default(TIMEOUT_MS),
        ),
      (key) => KEYS.has(key),
    ),
  jsonFields: {
    url: 'what was asked',
    status: 'the HTTP status of the answer',
    answer: 'what it said',
    correct: 'the status was 200',
  },
  async run(_args, options, { terminal, env, isJson }) {
    const { host, port } = configFromFlags(options, env).http
    const address = OWN_ADDRESS[host] ?? (host.includes(':') ? `[${host}]` : host)
    const url = `http://${address}:${port}${options.ready === true ? '/readyz' : '/healthz'}`
    const { status, text } = await ask(url, options.timeoutMs as number)
    if (!isJson) terminal.data(text)
    return { command: 'health', url, status, answer: answerOf(text), correct: status === 200 }
  },
}

async function ask(url: string, timeoutMs: number): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
    return { status: response.status, text: await response.text() }
  } catch (error) {
    const cause = (error as Error).cause ?? error
    throw new MillraceError('MR3006', { url, reason: (cause as Error).message }, { cause: error })
  }
}

/** The admin server answers JSON; whatever else listens there is shown as it is. */
function answerOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
