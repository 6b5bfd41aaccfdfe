// The table of librdkafka's settings against librdkafka's own page. Keeps SPEC: CONFIG-2.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RDKAFKA_SETTINGS, settingProblem } from '../../src/core/rdkafka-settings.ts'

const PAGE = join(import.meta.dirname, '../../node_modules/node-rdkafka/deps/librdkafka/CONFIGURATION.md')
const ROW = /^([a-z_.0-9]+)\s*\|[^|]*\|\s*(.*?)\s*\|[^|]*\|[^|]*\|.*\*Type: (.*?)\*/gm

/** Rows of the page in the words of the table; those that only code can set are left out. A name may have two. */
function pageRows(): [name: string, takes: string][] {
  const rows = [...readFileSync(PAGE, 'utf8').matchAll(ROW)].map(([, name, range, type]) => [name!, range!, type!])
  return rows
    .filter(
      ([name, , type]) => type !== 'see dedicated API' && name !== 'builtin.features' && name !== 'enabled_events',
    )
    .map(([name, range, type]): [string, string] => [name!, takesOf(range!, type!)])
}

function takesOf(range: string, type: string): string {
  if (type === 'integer') return `whole ${range.replace(' .. ', '..')}`
  if (type === 'float') return `number ${range.replace(' .. ', '..')}`
  if (type === 'enum value') return `one of ${range.replaceAll(', ', '|')}`
  return type === 'boolean' ? 'boolean' : 'text'
}

test('the table has the settings of the librdkafka that is installed, with what each takes', () => {
  const rows = pageRows()
  expect(rows.length).toBeGreaterThan(150)
  expect([...RDKAFKA_SETTINGS.keys()].sort()).toEqual([...new Set(rows.map(([name]) => name))].sort())
  const once = rows.filter(([name]) => rows.filter(([other]) => other === name).length === 1)
  expect(once.filter(([name, takes]) => RDKAFKA_SETTINGS.get(name) !== takes)).toEqual([])
})

describe('a setting', () => {
  test.each([
    ['socket.timeout.ms', 'abc', 'must be a whole number from 10 to 300000'],
    ['socket.timeout.ms', 5, 'must be a whole number from 10 to 300000'],
    ['linger.ms', '1e9', 'must be a number from 0 to 900000'],
    ['socket.nagle.disable', 'yes', 'must be true or false'],
    ['security.protocol', 'tls', 'must be one of plaintext, ssl, sasl_plaintext, sasl_ssl'],
    ['socket.timeot.ms', 9000, 'is no setting of librdkafka; did you mean socket.timeout.ms?'],
    ['sasl.pasword', 'hunter2', 'is no setting of librdkafka; did you mean sasl.password?'],
    ['nonsense', 1, 'is no setting of librdkafka'],
    ['sasl.jaas.config', 'x', "is a setting of Java's clients: set sasl.username and sasl.password"],
  ])('%s=%s %s', (name, value, problem) => {
    expect(settingProblem(name, value)).toBe(problem)
  })

  test.each([
    ['socket.timeout.ms', '9000'],
    ['linger.ms', 0.5],
    ['topic.metadata.refresh.interval.ms', -1],
    ['socket.nagle.disable', 'True'],
    ['security.protocol', 'SASL_SSL'],
    ['compression.codec', 'zstd'],
    ['sasl.password', 'any text at all'],
  ])('%s=%s is taken', (name, value) => {
    expect(settingProblem(name, value)).toBeUndefined()
  })
})
