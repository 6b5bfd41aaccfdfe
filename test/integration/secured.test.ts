// Jobs over secured listeners of a real Kafka, as processes. Keeps SPEC: SECURE-1, SECURE-2, SECURE-3, CONFIG-3, CLI-3.
import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'
import { countedIn, writeCountsJob } from '../harness/counts-job.ts'
import { type SecuredBroker, startSecuredBroker } from '../harness/secured-broker.ts'
import { startTokenEndpoint, type TokenEndpoint } from '../harness/token-endpoint.ts'

const PARTITIONS = 2
const PASSWORD = 'mark-9f3c-alice'
const CLIENT_SECRET = 'mark-5d1e-client'
/** Short, so that a job of a few seconds outlives several. */
const TOKEN_LIFE_SECONDS = 6

let broker: SecuredBroker
let endpoint: TokenEndpoint
beforeAll(async () => {
  broker = await startSecuredBroker({
    users: { alice: PASSWORD },
    clientName: 'carol',
    superUsers: ['alice', 'carol', 'svc'],
  })
  const { tokens: authority } = broker
  endpoint = await startTokenEndpoint({
    authority,
    clientId: 'svc',
    clientSecret: CLIENT_SECRET,
    lifeSeconds: TOKEN_LIFE_SECONDS,
  })
})
afterAll(async () => {
  await endpoint?.close()
  await broker?.stop()
})

let folder: string
let name: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-secured-jobs-'))
  name = `secured-${randomUUID()}`
  const admin = await openRdKafka({ brokers: broker.internal }).openAdmin()
  await admin.create([{ name, partitionCount: PARTITIONS, replicationFactor: 1, config: {} }], 30_000)
  await admin.close()
})
afterEach(() => {
  endCommandProcesses()
  rmSync(folder, { recursive: true })
})

/** How a user writes it down: a configuration file, and secrets in the environment or in files. */
interface Login {
  file: Record<string, unknown>
  env: Record<string, string>
}

function saslLogin(mechanism: string, listener: 'saslPlaintext' | 'saslSsl', password = PASSWORD): Login {
  return {
    file: {
      brokers: broker[listener],
      kafka: {
        'security.protocol': listener === 'saslSsl' ? 'sasl_ssl' : 'sasl_plaintext',
        'sasl.mechanism': mechanism,
        'sasl.username': 'alice',
        ...(listener === 'saslSsl' ? { 'ssl.ca.location': broker.certificates.ca } : {}),
      },
    },
    env: { MILLRACE_KAFKA_SASL_PASSWORD_FILE: secretFile('password', password) },
  }
}

function tokenLogin(secret = CLIENT_SECRET): Login {
  return {
    file: {
      brokers: broker.saslSsl,
      kafka: {
        'security.protocol': 'sasl_ssl',
        'ssl.ca.location': broker.certificates.ca,
        'sasl.mechanism': 'OAUTHBEARER',
        'sasl.oauthbearer.method': 'oidc',
        'sasl.oauthbearer.token.endpoint.url': endpoint.url,
        'sasl.oauthbearer.client.id': 'svc',
      },
    },
    env: { MILLRACE_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: secret },
  }
}

function certificateLogin(): Login {
  const { ca, clientCertificate, clientKey } = broker.certificates
  return {
    file: { brokers: broker.ssl, kafka: { 'security.protocol': 'ssl', 'ssl.ca.location': ca } },
    env: { MILLRACE_KAFKA_SSL_CERTIFICATE_LOCATION: clientCertificate, MILLRACE_KAFKA_SSL_KEY_PEM_FILE: clientKey },
  }
}

function secretFile(fileName: string, secret: string): string {
  const path = join(folder, fileName)
  writeFileSync(path, `${secret}\n`)
  return path
}

function started({ file, env }: Login, ...args: string[]): CommandProcess {
  const config = join(folder, 'millrace.yaml')
  writeFileSync(config, stringify(file))
  return new CommandProcess([LAUNCHER, ...args, '--config', config, '--json'], env)
}

function run(login: Login, ...more: string[]): CommandProcess {
  const flags = ['--state-dir', join(folder, 'state'), '--http-port', '0', '--push-port', '0', '--create-topics']
  return started(login, 'run', writeCountsJob(folder, name), ...flags, ...more)
}

async function generated(login: Login, records: number, ...more: string[]): Promise<void> {
  const gen = started(login, 'gen', 'trades', '--topic', name, '--records', String(records), ...more)
  expect(await gen.exit(), gen.stderr).toBe(0)
}

const counted = () => countedIn(openRdKafka({ brokers: broker.internal }), `${name}-out`, PARTITIONS)

describe('a job runs end to end and counts every record once', () => {
  test.each<[string, () => Login]>([
    ['SASL PLAIN over TLS', () => saslLogin('PLAIN', 'saslSsl')],
    ['SCRAM-SHA-256', () => saslLogin('SCRAM-SHA-256', 'saslPlaintext')],
    ['SCRAM-SHA-512 over TLS', () => saslLogin('SCRAM-SHA-512', 'saslSsl')],
    ['OAUTHBEARER with tokens of an OpenID Connect provider', () => tokenLogin()],
    ['TLS with a certificate of the client', () => certificateLogin()],
  ])('with %s', async (_, login) => {
    await generated(login(), 8000)
    const killed = run(login())
    await killed.saying(/[1-9][\d,]* results\/s|lag 0/)
    killed.child.kill('SIGKILL')
    await killed.exit()
    await generated(login(), 8000)
    const job = run(login(), '--until-end')
    expect(await job.exit(), job.stderr).toBe(0)
    expect(job.json()).toMatchObject({ command: 'run', dead: 0 })
    const late = Number(job.json().late)
    expect((await counted()) + late).toBe(16_000)
  })
})

describe('what brokers do not accept ends the start at once, with its code, a remedy and exit code 1', () => {
  const withoutCertificate = () => {
    const { file } = certificateLogin()
    return { file, env: {} }
  }
  const withKafka = (login: Login, kafka: Record<string, string>): Login => ({
    ...login,
    file: { ...login.file, kafka: { ...(login.file.kafka as object), ...kafka } },
  })
  test.each<[string, () => Login, string, RegExp]>([
    [
      'a wrong password of PLAIN',
      () => saslLogin('PLAIN', 'saslSsl', 'mark-wrong'),
      'MR4031',
      /Invalid username or password/,
    ],
    [
      'a wrong password of SCRAM',
      () => saslLogin('SCRAM-SHA-512', 'saslPlaintext', 'mark-wrong'),
      'MR4031',
      /invalid credentials/,
    ],
    [
      'a mechanism that the broker does not have',
      () => withKafka(saslLogin('SCRAM-SHA-256', 'saslPlaintext'), { 'sasl.mechanism': 'GSSAPI' }),
      'MR3001',
      /GSSAPI/,
    ],
    ['a wrong client secret', () => tokenLogin('mark-wrong'), 'MR4033', /HTTP status 401, invalid_client/],
    [
      'an authority that is not known',
      () => withKafka(saslLogin('PLAIN', 'saslSsl'), { 'ssl.ca.location': broker.certificates.otherCa }),
      'MR4032',
      /signed by an authority that is not known here/,
    ],
    [
      'a host name that is not in the certificate',
      () => {
        const login = saslLogin('PLAIN', 'saslSsl')
        return { ...login, file: { ...login.file, brokers: broker.saslSslByAddress } }
      },
      'MR4032',
      /the certificate of 127\.0\.0\.1 is for DNS:localhost, not for this host name/,
    ],
    ['no certificate of the client', withoutCertificate, 'MR4032', /wants a certificate of the client/],
    [
      'a file that is not there',
      () => withKafka(saslLogin('PLAIN', 'saslSsl'), { 'ssl.ca.location': '/none/ca.pem' }),
      'MR3001',
      /kafka\.ssl\.ca\.location: the file cannot be read \(ENOENT.*\/none\/ca\.pem/,
    ],
  ])('%s', async (_, login, code, words) => {
    const startMs = performance.now()
    const job = run(login())
    expect(await job.exit(), job.stderr).toBe(code === 'MR3001' ? 2 : 1)
    expect(performance.now() - startMs).toBeLessThan(15_000)
    const { error } = job.json() as { error: { code: string; message: string; remedy: string } }
    expect(error.code).toBe(code)
    expect(error.message).toMatch(words)
    expect(error.remedy).not.toContain('{')
    expect(job.stdout + job.stderr).not.toContain('mark-')
  })

  test('a listener that speaks TLS to a client that does not is told after connectMs', async () => {
    const job = run({ file: { brokers: broker.saslSsl }, env: {} }, '--limits-connect-ms', '1500')
    expect(await job.exit(), job.stderr).toBe(1)
    expect(job.json()).toMatchObject({ error: { code: 'MR4001' } })
    expect(job.stderr).toContain('the listener speaks TLS, but kafka.security.protocol is not ssl or sasl_ssl')
  })
})

test('a job outlives its tokens: each of its clients gets the new ones in time', async () => {
  const before = endpoint.tokenCount
  const job = run(tokenLogin())
  await job.saying(/ready in/)
  const perSecond = 200
  const records = perSecond * TOKEN_LIFE_SECONDS * 2
  await generated(saslLogin('SCRAM-SHA-256', 'saslPlaintext'), records, '--rate', String(perSecond))
  const words = job.stderr
  // From here on: all that was written is done when a line says so.
  job.stderr = ''
  await job.saying(/lag 0/)
  job.child.kill('SIGTERM')
  expect(await job.exit(), job.stderr).toBe(0)
  expect(job.json()).toMatchObject({ records, dead: 0 })
  expect(endpoint.tokenCount - before).toBeGreaterThanOrEqual(3)
  expect(words + job.stderr).not.toMatch(/_AUTHENTICATION|the epoch is dropped/)
})

describe('a marked secret is in nothing that is written', () => {
  /** Everything of a run that others may see. */
  function seen(job: CommandProcess): string {
    const state = join(folder, 'state')
    const files = existsSync(state) ? readdirSync(state, { recursive: true, withFileTypes: true }) : []
    const contents = files
      .filter((file) => file.isFile())
      .map((file) => readFileSync(join(file.parentPath, file.name), 'latin1'))
    return [job.stdout, job.stderr, ...contents].join('\n')
  }

  /** The job, and with it code that runs in the main thread alone: crashes are not of the job's making alone. */
  function runWith(code: string, ...more: string[]): CommandProcess {
    const job = writeCountsJob(folder, name)
    const text = readFileSync(job, 'utf8')
    writeFileSync(job, `import { isMainThread } from 'node:worker_threads'\n${text}\nif (isMainThread) { ${code} }\n`)
    const flags = ['--state-dir', join(folder, 'state'), '--http-port', '0', '--push-port', '0', '--create-topics']
    const { file, env } = saslLogin('PLAIN', 'saslSsl')
    const { MILLRACE_KAFKA_SASL_PASSWORD_FILE: _, ...rest } = env
    return started({ file, env: { ...rest, MILLRACE_KAFKA_SASL_PASSWORD: PASSWORD } }, 'run', job, ...flags, ...more)
  }
  const SECRET = 'process.env.MILLRACE_KAFKA_SASL_PASSWORD'

  test('a job that runs: its output, /config, /metrics, /readyz, its state folder', async () => {
    await generated(saslLogin('PLAIN', 'saslSsl'), 2000)
    const job = runWith('', '--log-level', 'trace')
    const [, url] = await job.saying(/health and metrics: (\S+)/)
    await job.saying(/lag 0/)
    const pages = ['config', 'metrics', 'readyz'].map(async (page) => (await fetch(`${url}/${page}`)).text())
    const texts = (await Promise.all(pages)).join('\n')
    job.child.kill('SIGTERM')
    expect(await job.exit(), job.stderr).toBe(0)
    expect(texts).toContain('"key":"kafka.sasl.password","value":"***"')
    expect(texts + seen(job)).not.toContain('mark-')
  })

  test.each([
    ['an exception that nobody catches', `setTimeout(() => { throw new Error('login ' + ${SECRET}) }, 300)`],
    ['a rejection that nobody handles', `setTimeout(() => Promise.reject(new Error('login ' + ${SECRET})), 300)`],
    ['a job file that throws', `throw new Error('login ' + ${SECRET})`],
  ])('%s', async (_, code) => {
    const job = runWith(code)
    expect(await job.exit()).not.toBe(0)
    expect(job.stderr).toContain('login ***')
    expect(seen(job)).not.toContain('mark-')
  })

  test.each([
    ['a misspelt setting', ['--kafka', `sasl.pasword=${PASSWORD}`], 3001],
    ['a setting without its name', ['--kafka', PASSWORD], 3001],
    ['a misspelt flag', [`--kafka-sasl-password=${PASSWORD}`], 3002],
    ['a value that its key does not take', ['--lanes', PASSWORD], 3001],
    ['a broker that is not there', ['--brokers', '127.0.0.1:1', '--limits-connect-ms', '500'], 4001],
  ])('%s', async (_, flags, code) => {
    const job = runWith('', ...flags)
    expect(await job.exit()).not.toBe(0)
    expect(job.stderr).toContain(`MR${code} `)
    expect(seen(job)).not.toContain('mark-')
  })
})

describe.each(['addon', 'plain'] as const)('clients on the %s path', (native) => {
  const kafkaOf = ({ file, env }: Login) => {
    const settings = { ...(file.kafka as Record<string, string>) }
    const secrets: [variable: string, setting: string][] = [
      ['MILLRACE_KAFKA_SASL_PASSWORD_FILE', 'sasl.password'],
      ['MILLRACE_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET', 'sasl.oauthbearer.client.secret'],
    ]
    for (const [variable, setting] of secrets) {
      const value = env[variable]
      if (value !== undefined) settings[setting] = value.startsWith('/') ? readFileSync(value, 'utf8').trim() : value
    }
    return openRdKafka({ brokers: String(file.brokers), settings, native, connectMs: 10_000 })
  }

  test('log in by token and by password, as readers, producers and to look at topics', async () => {
    for (const login of [tokenLogin(), saslLogin('SCRAM-SHA-512', 'saslSsl')]) {
      const kafka = kafkaOf(login)
      const admin = await kafka.openAdmin()
      expect(await admin.describe([name], 10_000)).toMatchObject([{ name, partitionCount: PARTITIONS }])
      const made = { name: `${name}-${randomUUID()}`, partitionCount: 1, replicationFactor: 1, config: {} }
      await admin.create([made], 10_000)
      const reader = await kafka.openReader({})
      expect(await reader.watermarks({ topic: name, partition: 0 }, 10_000)).toEqual({ low: 0, high: 0 })
      const producer = await kafka.openProducer({ transactionalId: name })
      await producer.initTransactions(10_000)
      for (const client of [producer, reader, admin]) await client.close()
    }
  })

  test('are told what is wrong at once, by code', async () => {
    const startMs = performance.now()
    const { certificates, saslSsl } = broker
    const unknown = {
      brokers: saslSsl,
      settings: { 'security.protocol': 'ssl', 'ssl.ca.location': certificates.otherCa },
    }
    await expect(kafkaOf(saslLogin('PLAIN', 'saslSsl', 'mark-wrong')).openReader({})).rejects.toMatchObject({
      code: 'MR4031',
    })
    await expect(kafkaOf(tokenLogin('mark-wrong')).openAdmin()).rejects.toMatchObject({ code: 'MR4033' })
    await expect(openRdKafka({ ...unknown, native }).openProducer({})).rejects.toMatchObject({ code: 'MR4032' })
    expect(performance.now() - startMs).toBeLessThan(6_000)
  })
})
