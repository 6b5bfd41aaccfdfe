// Configuration: precedence, origins, all problems at once, secrets. Keeps SPEC: CONFIG-1, CONFIG-2, CONFIG-3.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import type { LaneLimits } from '../../src/core/message.ts'
import { type Config, type ConfigSources, loadConfig, originsOf } from '../../src/ops/config.ts'
import { envOf, flagOf } from '../../src/ops/config-names.ts'
import { CONFIG_ROWS, type ConfigRow } from '../../src/ops/config-table.ts'
import { parseValue } from '../../src/ops/config-value.ts'
import { DEFAULT_PUSH_LIMITS } from '../../src/push/limits.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-config-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function written(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** The problem lines of a configuration that is refused. */
function problemsOf(sources: ConfigSources): string[] {
  try {
    loadConfig(sources)
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError)
    expect((error as MillraceError).code).toBe('MR3001')
    const { problems } = (error as MillraceError).details
    return String(problems)
      .split('\n')
      .filter((line) => line.startsWith('  - '))
      .map((line) => line.slice(4))
  }
  throw new Error('the configuration was accepted')
}

function entryOf(config: Config, key: string) {
  return config.describe().find((entry) => entry.key === key)
}

describe('precedence', () => {
  test('a flag goes before the environment, that before the file, that before the default, and each knows its place', () => {
    const file = written('millrace.yaml', 'lanes: 2\nhttp:\n  port: 2\ncommit:\n  maxMs: 200ms\n')
    const env = { MILLRACE_LANES: '3', MILLRACE_HTTP_PORT: '3' }
    const config = loadConfig({ flags: { lanes: '4' }, env, file })
    expect([config.lanes, config.http.port, config.commit.maxMs, config.commit.minMs]).toEqual([4, 3, 200, 5])
    expect(entryOf(config, 'lanes')).toEqual({ key: 'lanes', value: 4, origin: 'flag', where: '--lanes' })
    expect(entryOf(config, 'http.port')).toMatchObject({ origin: 'environment', where: 'MILLRACE_HTTP_PORT' })
    expect(entryOf(config, 'commit.maxMs')).toMatchObject({ origin: 'file', where: `${file}:5` })
    expect(entryOf(config, 'commit.minMs')).toMatchObject({ origin: 'default', where: '' })
  })

  test('without any source every key has its default', () => {
    const config = loadConfig()
    expect(config.lanes).toBe(Math.max(1, availableParallelism() - 1))
    expect(config.describe().map((entry) => entry.key)).toEqual(CONFIG_ROWS.map((row) => row.key))
    expect(config.instanceId).toBeUndefined()
  })

  test('MILLRACE_CONFIG names the file', () => {
    const file = written('other.yaml', 'brokers: [a:1, b:2]\n')
    expect(loadConfig({ env: { MILLRACE_CONFIG: file } }).brokers).toBe('a:1,b:2')
  })

  test('an empty file is a configuration', () => {
    expect(loadConfig({ file: written('empty.yaml', '# nothing\n') }).http.port).toBe(8080)
  })
})

describe('values', () => {
  test.each<[string, unknown, unknown]>([
    ['lanes', '8', 8],
    ['lanes', 8, 8],
    ['lanes', '1.5', undefined],
    ['lanes', 'many', undefined],
    ['lanes', '', undefined],
    ['lanes', 0, undefined],
    ['lanes', true, undefined],
    ['flush.everyMs', '2s', 2000],
    ['flush.everyMs', '1.5 m', 90_000],
    ['flush.everyMs', '2 fortnights', undefined],
    ['limits.laneBytesMax', '1 MB', 1_000_000],
    ['limits.laneBytesMax', '1 MiB', 1_048_576],
    ['limits.laneBytesMax', '1_048_576', 1_048_576],
    ['limits.deadShareMax', '0.25', 0.25],
    ['limits.deadShareMax', '1.01', undefined],
    ['createTopics', 'true', true],
    ['createTopics', '0', false],
    ['createTopics', 'perhaps', undefined],
    ['log.level', 'warn', 'warn'],
    ['log.level', 'loud', undefined],
    ['brokers', ' ', undefined],
  ])('%s: %j is read as %j', (key, text, expected) => {
    const row: ConfigRow = CONFIG_ROWS.find((candidate) => candidate.key === key)!
    expect(parseValue(row, text)).toBe(expected)
  })

  test('every default passes its own row', () => {
    for (const row of CONFIG_ROWS as readonly ConfigRow[]) {
      if (row.default === undefined || row.default === 'cores - 1') continue
      expect(parseValue(row, row.default), row.key).toBe(row.default)
    }
  })

  test('the types follow from the table, and the lane limits are all there', () => {
    expectTypeOf<Config['http']['port']>().toEqualTypeOf<number>()
    expectTypeOf<Config['instanceId']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<Config['brokers']>().toEqualTypeOf<string>()
    expectTypeOf<Config['createTopics']>().toEqualTypeOf<boolean>()
    expectTypeOf<Config['log']['format']>().toEqualTypeOf<'auto' | 'json' | 'pretty'>()
    const limits: LaneLimits = loadConfig().limits
    expect(limits.keyBytesMax).toBe(1024)
  })
})

describe('problems', () => {
  test('all of all sources are told at once, with file, line, what was expected and the nearest key', () => {
    const file = written('bad.yaml', 'lanes: none\nhttp:\n  prot: 1\n\npollBytesMax: 5\nbroker:\n')
    const env = { MILLRACE_HTTP_PROT: '1', MILLRACE_LOG_LEVEL: 'loud', OTHER: 'x' }
    expect(problemsOf({ flags: { 'push.port': '70000', lane: '1' }, env, file })).toEqual([
      `${file}:3: there is no key http.prot; did you mean http.port?`,
      `${file}:5: there is no key pollBytesMax; did you mean limits.pollBytesMax?`,
      `${file}:6: there is no key broker; did you mean brokers?`,
      'environment MILLRACE_HTTP_PROT: there is no such setting; did you mean MILLRACE_HTTP_PORT?',
      'flag --lane: there is no such setting; did you mean lanes?',
      `${file}:1: lanes must be a whole number from 1 to 256, not "none"`,
      'environment MILLRACE_LOG_LEVEL: log.level must be one of trace, debug, info, warn, error, fatal, silent, not "loud"',
      'flag --push-port: push.port must be a whole number from 0 to 65535, not "70000"',
    ])
  })

  test.each([
    ['a: [1\n', /:\d+: not valid YAML/],
    ['lanes: 1\nlanes: 2\n', /:2: not valid YAML: .*unique/],
    ['- 1\n', /:1: expected `key: value` lines/],
    ['lanes:\n', /:1: lanes must be a whole number from 1 to 256, not empty/],
    ['lanes: { a: 1 }\n', /:1: there is no key lanes\.a/],
    ['a: &a\n  b: *a\n', /expected `key: value` lines/],
  ])('the file %j is refused with its line', (text, expected) => {
    expect(problemsOf({ file: written('bad.yaml', text) }).join('\n')).toMatch(expected)
  })

  test('a file that is named and missing is a problem', () => {
    expect(problemsOf({ file: join(folder, 'none.yaml') })[0]).toMatch(/none\.yaml: the file cannot be read/)
  })

  test('limits that contradict each other are told with their origins', () => {
    expect(problemsOf({ flags: { 'commit.minMs': '500' } })).toEqual([
      'commit.minMs 500 (--commit-min-ms) must not be over commit.maxMs 100 (default)',
      'commit.minMs 500 (--commit-min-ms) must not be over commit.catchUpMs 250 (default)',
    ])
  })

  test('origins are a list of what browsers send, or a star; anything else is refused', () => {
    const allowed = (list: string) => ({ flags: { 'push.allowedOrigins': list } })
    expect(originsOf(loadConfig(allowed('https://desk.example, http://localhost:5173')).push.allowedOrigins)).toEqual([
      'https://desk.example',
      'http://localhost:5173',
    ])
    expect(originsOf(loadConfig(allowed('*')).push.allowedOrigins)).toEqual(['*'])
    expect(originsOf(loadConfig({}).push.allowedOrigins)).toEqual([])
    expect(problemsOf(allowed('https://desk.example/page,desk.example'))).toEqual([
      expect.stringContaining('"https://desk.example/page" is not an origin such as https://desk.example'),
      expect.stringContaining('"desk.example" is not an origin'),
    ])
  })

  test.each<[Record<string, string>, string[]]>([
    [{ jwksUrl: 'https://login.example/keys', audience: 'millrace', algorithms: 'ES256,EdDSA' }, []],
    [{ jwksUrl: 'http://127.0.0.1:9/keys' }, []],
    [{ secret: 'x'.repeat(32), algorithms: 'HS256, HS512' }, []],
    [{ jwksUrl: 'http://login.example/keys' }, ['push.auth.jwksUrl must be an https address']],
    [{ jwksUrl: 'keys' }, ['push.auth.jwksUrl must be an https address']],
    [
      { jwksUrl: 'https://login.example/keys', secret: 'x'.repeat(32) },
      ['push.auth.secret cannot be set beside push.auth.jwksUrl'],
    ],
    [{ publicKeyFile: 'key.pem', algorithms: 'none' }, ['push.auth.algorithms has none, but with']],
    [{ publicKeyFile: 'key.pem', algorithms: 'HS256' }, ['push.auth.algorithms has HS256, but with']],
    [{ secret: 'x'.repeat(32), algorithms: 'RS256' }, ['push.auth.algorithms has RS256, but with push.auth.secret']],
    [
      { issuer: 'https://login.example', algorithms: 'ES256', allowQueryToken: 'true' },
      ['push.auth.issuer does', 'push.auth.algorithms does', 'push.auth.allowQueryToken does nothing without keys'],
    ],
  ])('who may read the views is one source of keys and what goes with it: %j', (auth, expected) => {
    const flags = Object.fromEntries(Object.entries(auth).map(([name, value]) => [`push.auth.${name}`, value]))
    if (expected.length === 0) loadConfig({ flags })
    else expect(problemsOf({ flags })).toEqual(expected.map((text) => expect.stringContaining(text)))
  })

  test('a shared secret is masked, whether tokens may be in addresses is not', () => {
    const flags = { 'push.auth.secret': 'a secret of thirty-two bytes, more', 'push.auth.allowQueryToken': 'true' }
    const config = loadConfig({ flags })
    expect(entryOf(config, 'push.auth.secret')?.value).toBe('***')
    expect(entryOf(config, 'push.auth.allowQueryToken')?.value).toBe(true)
  })

  test('the limits of push are configured with the defaults that the push server has', () => {
    const { push } = loadConfig({})
    const { allowedOrigins: _origins, positionSecret: _secret, host: _host, port: _port, ...rest } = push
    const { trustedProxies, page, dir, ...others } = rest
    const limits = Object.fromEntries(Object.entries(others).filter(([name]) => !name.startsWith('auth.')))
    expect(Object.keys(limits)).toHaveLength(15)
    expect(trustedProxies).toBe(0)
    expect([page, dir]).toEqual([undefined, undefined])
    expect(DEFAULT_PUSH_LIMITS).toMatchObject(limits)
  })

  test('variables that Kubernetes sets for a service called millrace are not ours', () => {
    const env = {
      MILLRACE_SERVICE_HOST: '10.0.0.1',
      MILLRACE_SERVICE_PORT_HTTP: '80',
      MILLRACE_PORT: 'tcp://10.0.0.1:80',
      MILLRACE_PORT_80_TCP_ADDR: '10.0.0.1',
      MILLRACE_HTTP_PORT: 'tcp://10.0.0.1:80',
    }
    expect(loadConfig({ env }).http.port).toBe(8080)
  })
})

describe('settings of librdkafka', () => {
  test('are passed through from flags, environment and file', () => {
    const file = written('k.yaml', 'kafka:\n  sasl.username: me\n  ssl:\n    ca:\n      location: /ca.pem\n')
    const env = { MILLRACE_KAFKA_SOCKET_TIMEOUT_MS: '9000' }
    expect(loadConfig({ flags: { kafka: ['debug=broker,cgrp', 'sasl.username=you'] }, env, file }).kafka).toEqual({
      'sasl.username': 'you',
      'ssl.ca.location': '/ca.pem',
      'socket.timeout.ms': '9000',
      debug: 'broker,cgrp',
    })
  })

  test.each([
    'isolation.level',
    'enable.auto.commit',
    'transactional.id',
    'group.id',
    'partitioner',
    'enable.idempotence',
    'group.instance.id',
    'enable.auto.offset.store',
  ])('%s is refused with a reason', (name) => {
    expect(problemsOf({ flags: { kafka: [`${name}=x`] } })[0]).toMatch(`kafka.${name} cannot be set: `)
  })

  test('secrets come from files too and are never shown', () => {
    const path = written('password', 'hunter2\n')
    const config = loadConfig({ env: { MILLRACE_KAFKA_SASL_PASSWORD_FILE: path } })
    expect(config.kafka['sasl.password']).toBe('hunter2')
    expect(entryOf(config, 'kafka.sasl.password')).toMatchObject({
      value: '***',
      where: 'MILLRACE_KAFKA_SASL_PASSWORD_FILE',
    })
    expect(JSON.stringify(config.describe())).not.toContain('hunter2')
  })

  test('a secret that is given twice, or whose file is missing, is a problem that does not show it', () => {
    const env = {
      MILLRACE_KAFKA_SASL_PASSWORD: 'hunter2',
      MILLRACE_KAFKA_SASL_PASSWORD_FILE: '/x',
      MILLRACE_BROKERS_FILE: join(folder, 'none'),
    }
    const problems = problemsOf({ env, flags: { kafka: ['hunter2'] } })
    expect(problems).toHaveLength(3)
    expect(problems.join()).not.toContain('hunter2')
    expect(problems.join()).toContain(join(folder, 'none'))
  })

  test('a setting that librdkafka does not have, or a value that it does not take, is told with the nearest name', () => {
    const env = { MILLRACE_KAFKA_SOCKET_TIMEOUT_MS: 'abc' }
    const file = written('wrong.yaml', 'kafka:\n  sasl.pasword: hunter2\n')
    expect(problemsOf({ env, file, flags: { kafka: ['nonsense=1'] } })).toEqual([
      `${file}:2: kafka.sasl.pasword is no setting of librdkafka; did you mean sasl.password?`,
      'environment MILLRACE_KAFKA_SOCKET_TIMEOUT_MS: kafka.socket.timeout.ms must be a whole number from 10 to 300000',
      'flag --kafka: kafka.nonsense is no setting of librdkafka',
    ])
  })
})

test('flags and variables are distinct for all keys', () => {
  expect(new Set(CONFIG_ROWS.map((row) => flagOf(row.key))).size).toBe(CONFIG_ROWS.length)
  expect(new Set(CONFIG_ROWS.map((row) => envOf(row.key))).size).toBe(CONFIG_ROWS.length)
  expect([flagOf('limits.pollBytesMax'), envOf('limits.pollBytesMax')]).toEqual([
    '--limits-poll-bytes-max',
    'MILLRACE_LIMITS_POLL_BYTES_MAX',
  ])
})
