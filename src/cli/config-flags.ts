// The configuration keys as flags of a command, and back. Main thread.
// Keeps SPEC: CONFIG-1 (flags follow from the table of keys).

import { type Command, Option } from 'commander'
import { type Config, type ConfigSources, loadConfig } from '../ops/config.ts'
import { expectedText, flagOf } from '../ops/config-names.ts'
import { CONFIG_ROWS, type ConfigRow } from '../ops/config-table.ts'

/** Adds `--config`, `--kafka` and a flag for each key that `includes` takes. */
export function addConfigFlags(command: Command, includes: (key: string) => boolean = () => true): Command {
  command.option('--config <file>', 'configuration file (default: MILLRACE_CONFIG, then millrace.yaml)')
  for (const row of CONFIG_ROWS as readonly ConfigRow[]) if (includes(row.key)) addFlag(command, row)
  const kafka = new Option('--kafka <name=value>', 'a setting of librdkafka, by its own name; may be repeated')
  return command.addOption(kafka.argParser((text, before: string[] = []) => [...before, text]))
}

function addFlag(command: Command, row: ConfigRow): void {
  const flag = flagOf(row.key)
  const isLimit = row.key.includes('.') && !/^(http|push|log)\./.test(row.key)
  const group = isLimit ? 'Limits and pace:' : 'Configuration:'
  if (row.type === 'boolean') {
    command.addOption(new Option(flag, row.reason).helpGroup(group))
    command.addOption(new Option(`--no-${flag.slice(2)}`).hideHelp())
    return
  }
  const byDefault = row.default === undefined ? '' : ` (default: ${row.default})`
  command.addOption(new Option(`${flag} <value>`, `${expectedText(row)}${byDefault}`).helpGroup(group))
}

/**
 * The configuration from a command's parsed options (by commander's names) and the environment. A command that runs a job
 * gives the memory that there is, and whether it is for views alone: limits are fitted to it.
 */
export function configFromFlags(
  options: Record<string, unknown>,
  env: Record<string, string | undefined>,
  memoryBytes?: number,
  memoryOf?: ConfigSources['memoryOf'],
): Config {
  const flags: Record<string, string | boolean | string[] | undefined> = {
    kafka: options.kafka as string[] | undefined,
  }
  for (const { key } of CONFIG_ROWS) flags[key] = options[attributeOf(key)] as string | boolean | undefined
  const sources: ConfigSources = { flags, env, memoryBytes, memoryOf }
  if (typeof options.config === 'string') sources.file = options.config
  return loadConfig(sources)
}

/** commander's name for the flag of a key: `http.port` -> `httpPort`. */
function attributeOf(key: string): string {
  return new Option(flagOf(key)).attributeName()
}
