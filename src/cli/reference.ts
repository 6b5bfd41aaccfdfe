// The reference pages that are made from tables: errors, configuration, commands. scripts/docs.mjs writes them, a test
// holds them equal. Any thread; pure but for the table of commands.
// Keeps SPEC: ERR-1, CONFIG-1, CLI-4 (table, docs and code are equal).

import type { Command, Option } from 'commander'
import { ERRORS, type ErrorCode } from '../core/errors.ts'
import { envOf, expectedText, flagOf } from '../ops/config-names.ts'
import { CONFIG_ROWS, type ConfigRow, KAFKA_OWNED } from '../ops/config-table.ts'
import { ACTION_WORDS } from './commands/explain.ts'
import { buildProgram, COMMANDS } from './program.ts'

const MADE_BY = '<!-- Made by `node scripts/docs.mjs`; change the table in the code, not this page. -->'

/** All generated pages: path from the package root to content. */
export function referencePages(): Record<string, string> {
  return {
    'docs/reference/errors.md': errorsPage(),
    'docs/reference/config.md': configPage(),
    'docs/reference/commands.md': commandsPage(),
  }
}

/** Families of codes by their first digit. */
const FAMILIES: Readonly<Record<string, string>> = {
  MR1: 'The job and its plan',
  MR2: 'One record (dead letters)',
  MR3: 'Configuration and commands',
  MR4: 'Kafka',
  MR5: 'State',
  MR6: 'Engine and lanes',
  MR7: 'Push',
}

function errorsPage(): string {
  const codes = Object.keys(ERRORS) as ErrorCode[]
  const sections = Object.entries(FAMILIES).map(([family, title]) => {
    const rows = codes
      .filter((code) => code.startsWith(family))
      .map((code) => `| ${code} | ${ERRORS[code].action} | ${cell(ERRORS[code].text)} | ${cell(ERRORS[code].remedy)} |`)
    return [`## ${title}`, '', '| code | action | text | remedy |', '|---|---|---|---|', ...rows, ''].join('\n')
  })
  const actions = Object.entries(ACTION_WORDS).map(([action, words]) => `- \`${action}\`: ${words}`)
  return page(
    'Errors',
    'Every error has a code; decide by it, never by the text. `{name}` marks a value. `millrace explain CODE` tells the same.',
    `What is done about an error (its action):\n\n${actions.join('\n')}`,
    ...sections,
  )
}

function configPage(): string {
  const rows = (CONFIG_ROWS as readonly ConfigRow[]).map(
    (row) =>
      `| \`${row.key}\` | \`${flagOf(row.key)}\` | \`${envOf(row.key)}\` | ${expectedText(row)} | ${defaultText(row)} | ${cell(row.reason)} |`,
  )
  const owned = Object.entries(KAFKA_OWNED).map(([name, reason]) => `| \`${name}\` | ${reason} |`)
  return page(
    'Configuration',
    'A flag goes before an environment variable, that before the file, that before the default. The file is `--config`, else ' +
      '`MILLRACE_CONFIG`, else `millrace.yaml` in the working directory; keys are nested there (`http:` over `port:`). ' +
      'All problems are told at once (MR3001, exit code 2). `/config` of the admin server lists every value with its origin.',
    'Every key, and every setting of librdkafka, has a variable with `_FILE` behind its name that holds the path of a file with ' +
      'the value; the last line end is not part of it. Setting both variables, or naming a file that cannot be read, is MR3001. ' +
      'Secrets (passwords, passphrases, keys, tokens, client secrets) are never shown: they are masked in `/config` and in ' +
      'everything that the command writes. See [the guide to security](../guide/security.md).',
    ['| key | flag | variable | value | default | what for |', '|---|---|---|---|---|---|', ...rows].join('\n'),
    '## Settings of librdkafka\n\nAny other setting of librdkafka is passed through by its own name: `--kafka socket.timeout.ms=9000`, ' +
      'under `kafka:` in the file, or in the environment as `MILLRACE_KAFKA_` and its name in capitals with `_` for each dot: ' +
      '`MILLRACE_KAFKA_SOCKET_TIMEOUT_MS=9000`, `MILLRACE_KAFKA_SASL_PASSWORD_FILE=/run/secrets/kafka`. A name that librdkafka ' +
      'does not have, or a value that it does not take, is MR3001 with the nearest name. These are refused:',
    ['| setting | why |', '|---|---|', ...owned].join('\n'),
  )
}

function defaultText(row: ConfigRow): string {
  if (row.default === undefined) return ''
  if (row.type !== 'bytes') return `\`${row.default}\``
  const bytes = Number(row.default)
  const unit =
    bytes % 1024 ** 2 === 0 ? `${bytes / 1024 ** 2} MiB` : bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes}`
  return `\`${unit}\``
}

function commandsPage(): string {
  const program = buildProgram(() => {}, { stdout: process.stdout, stderr: process.stderr })
  const sections = Object.entries(COMMANDS).map(([name, spec]) => {
    const command = name
      .split(' ')
      .reduce<Command>((parent, word) => parent.commands.find((c) => c.name() === word)!, program)
    const usage = `millrace ${name} ${command.usage()}`.trim()
    const options = ownOptions(command).map((option) => `| \`${option.flags}\` | ${cell(optionWords(option))} |`)
    const fields = Object.entries({ command: `\`${name.split(' ')[0]}\``, ...spec.jsonFields })
    return [
      `## ${name}`,
      `\`${usage}\`: ${command.description()}.`,
      ['| option | |', '|---|---|', ...options].join('\n'),
      `Fields of its JSON line:\n\n${['| field | meaning |', '|---|---|', ...fields.map(([field, words]) => `| \`${field}\` | ${cell(words)} |`)].join('\n')}`,
    ].join('\n\n')
  })
  return page(
    'Commands',
    'Data goes to stdout, words for people to stderr. With `--json` the last line of stdout is one object with `command`; when the ' +
      'command failed it has `error` (`code`, `message`, `remedy`) instead of its fields.',
    'Exit codes: 0 done, 1 failed or a check failed (`correct` is false), 2 the request is not valid (arguments, configuration, job ' +
      'file), 130 or 143 ended at once by a second SIGINT or SIGTERM.',
    '`millrace --version` prints the version. Commands that run a job or talk to Kafka also take the flags of [the configuration](config.md).',
    ...sections,
  )
}

/** The options of a command, those that are configuration keys aside. */
function ownOptions(command: Command): Option[] {
  const keys = new Set(CONFIG_ROWS.map((row) => flagOf(row.key)))
  return command.options.filter((option) => !option.hidden && !keys.has(option.long ?? ''))
}

function optionWords(option: Option): string {
  return option.defaultValue === undefined
    ? option.description
    : `${option.description} (default: ${option.defaultValue})`
}

function page(title: string, ...parts: string[]): string {
  return `${[`# ${title}`, MADE_BY, ...parts.map((part) => part.trimEnd())].join('\n\n')}\n`
}

/** Text inside a table's cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
