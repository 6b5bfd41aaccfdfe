// `millrace explain CODE`: an error code's meaning, what is done about it, the remedy. Main thread.
// Keeps SPEC: ERR-1 (the words come from the one table).

import { ERRORS, type ErrorAction, type ErrorCode, MillraceError } from '../../core/errors.ts'
import { nearest } from '../../core/nearest.ts'
import type { CommandSpec } from '../command.ts'

/** What the supervisor does, in words. */
export const ACTION_WORDS: Readonly<Record<ErrorAction, string>> = {
  divert: 'the record goes to the dead-letter topic, the job goes on',
  retry: 'the call is made again, within its limit',
  rebuild: 'the epoch is dropped and the tasks are reopened from the last commit',
  stop: 'the process stops',
  report: 'the caller is told; the job is not concerned',
}

export const explain: CommandSpec = {
  define: (program) =>
    program.command('explain').argument('<code>', 'e.g. MR4001').description('explain an error code'),
  jsonFields: {
    code: 'the code',
    action: `what is done: ${Object.keys(ACTION_WORDS).join(', ')}`,
    text: 'the text, with {places} for values',
    remedy: 'what to do about it',
  },
  async run([given], _options, { terminal, isJson }) {
    const code = given!.toUpperCase()
    if (!isCode(code)) {
      const near = nearest(code, Object.keys(ERRORS))
      throw new MillraceError('MR3003', { code: near === undefined ? given! : `${given} (did you mean ${near}?)` })
    }
    const { action, text, remedy } = ERRORS[code]
    if (!isJson) {
      terminal.data(`${code}: ${text}`)
      terminal.data(`Then: ${ACTION_WORDS[action]}.`)
      terminal.data(`Remedy: ${remedy}`)
    }
    return { command: 'explain', code, action, text, remedy }
  },
}

function isCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text)
}
