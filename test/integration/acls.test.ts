// The rights that `plan --acls` prints, on a real Kafka with its authorizer: they are enough, and each is needed.
// Keeps SPEC: SECURE-4, SECURE-5.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka as Kafkajs,
  type Admin as KafkajsAdmin,
  logLevel,
  ResourcePatternTypes,
} from 'kafkajs'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { kafkaJars } from '../../scripts/kafka-jars.mjs'
import type { Right } from '../../src/job/rights.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'
import { countedIn, writeCountsJob } from '../harness/counts-job.ts'
import { type SecuredBroker, startSecuredBroker } from '../harness/secured-broker.ts'

const PARTITIONS = 2
const RECORDS = 3000
const PASSWORD = 'bob-secret'

let broker: SecuredBroker
let admin: KafkajsAdmin
beforeAll(async () => {
  broker = await startSecuredBroker({ users: { bob: PASSWORD }, clientName: 'carol', superUsers: [] })
  admin = new Kafkajs({ brokers: [broker.internal], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
})
afterAll(async () => {
  await admin?.disconnect()
  await broker?.stop()
})

let folder: string
let name: string
let job: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-acls-'))
  name = `acls-${randomUUID()}`
  job = writeCountsJob(folder, name)
  await makeTopics([name])
  const gen = started(['gen', 'trades', '--topic', name, '--records', String(RECORDS), '--brokers', broker.internal])
  expect(await gen.exit(), gen.stderr).toBe(0)
})
afterEach(() => {
  endCommandProcesses()
  rmSync(folder, { recursive: true })
})

async function makeTopics(names: string[]): Promise<void> {
  const topics = await openRdKafka({ brokers: broker.internal }).openAdmin()
  const config = { 'message.timestamp.after.max.ms': '9223372036854775807' }
  await topics.create(
    names.map((topic) => ({ name: topic, partitionCount: PARTITIONS, replicationFactor: 1, config })),
    30_000,
  )
  await topics.close()
}

async function deleteTopics(names: string[]): Promise<void> {
  const topics = await openRdKafka({ brokers: broker.internal }).openAdmin()
  await topics.delete(names, 30_000)
  await topics.close()
}

function started(args: string[], env: Record<string, string> = {}): CommandProcess {
  return new CommandProcess([LAUNCHER, ...args, '--json'], env)
}

/** The job as bob, to the end of its input. A state folder of its own, so that each run begins as the first. */
function runAsBob(...more: string[]): CommandProcess {
  const state = mkdtempSync(join(folder, 'state-'))
  const login = ['security.protocol=sasl_plaintext', 'sasl.mechanism=SCRAM-SHA-256', 'sasl.username=bob']
  const flags = ['--state-dir', state, '--http-port', '0', '--push-port', '0', '--brokers', broker.saslPlaintext]
  const kafka = login.flatMap((setting) => ['--kafka', setting])
  return started(['run', job, '--until-end', ...flags, ...kafka, ...more], { MILLRACE_KAFKA_SASL_PASSWORD: PASSWORD })
}

interface Acls {
  acls: Right[]
  commands: string[]
}

async function plannedAcls(...more: string[]): Promise<Acls> {
  const plan = started(['plan', job, '--acls', '--principal', 'User:bob', ...more])
  expect(await plan.exit(), plan.stderr).toBe(0)
  return plan.json() as unknown as Acls
}

/** Runs the printed lines in a shell that finds Kafka's own tool under its name. */
async function carryOut(commands: string[]): Promise<void> {
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  const tool = join(bin, 'kafka-acls.sh')
  writeFileSync(tool, `#!/bin/sh\nexec java -cp '${kafkaJars()}/*' org.apache.kafka.tools.AclCommand "$@"\n`)
  chmodSync(tool, 0o755)
  const config = join(folder, 'admin.properties')
  writeFileSync(config, '')
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, BROKERS: broker.internal, ADMIN_CONFIG: config }
  const shell = spawn('sh', ['-e', '-c', commands.join('\n')], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let words = ''
  shell.stderr.on('data', (data) => {
    words += String(data)
  })
  const [code] = await once(shell, 'close')
  expect(code, words).toBe(0)
}

const RESOURCES = {
  topic: AclResourceTypes.TOPIC,
  group: AclResourceTypes.GROUP,
  'transactional-id': AclResourceTypes.TRANSACTIONAL_ID,
}
const OPERATIONS = {
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
  Create: AclOperationTypes.CREATE,
  Delete: AclOperationTypes.DELETE,
}

function entryOf(right: Right) {
  return {
    resourceType: RESOURCES[right.resource],
    resourceName: right.name,
    resourcePatternType: right.pattern === 'prefixed' ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
    principal: 'User:bob',
    host: '*',
    operation: OPERATIONS[right.operation],
    permissionType: AclPermissionTypes.ALLOW,
  }
}

async function withdraw(right: Right): Promise<void> {
  const { filterResponses } = await admin.deleteAcls({ filters: [entryOf(right)] })
  expect(filterResponses[0]!.matchingAcls).toHaveLength(1)
}
const grant = (right: Right) => admin.createAcls({ acl: [entryOf(right)] })

const counted = () => countedIn(openRdKafka({ brokers: broker.internal }), `${name}-out`, PARTITIONS)

/** As an error names it. */
function words({ operation, resource, name: of, pattern }: Right): RegExp {
  const kind = resource === 'transactional-id' ? 'transactional id' : resource
  return new RegExp(`\\b${operation} on ${kind} ${of}${pattern === 'prefixed' ? '[\\w-]+' : ''}[.,]`)
}

test('with exactly the rights of the plan a job runs on topics that are there; without any one of them it names it', async () => {
  const { acls, commands } = await plannedAcls('--creates', 'none')
  expect(acls.filter(({ operation }) => operation === 'Create')).toEqual([])
  await carryOut(commands)
  await makeTopics([...new Set(acls.filter(({ resource }) => resource === 'topic').map((right) => right.name))])
  for (const right of acls) {
    await withdraw(right)
    const refused = runAsBob()
    expect(await refused.exit(), `without ${right.operation} on ${right.resource} ${right.name}`).toBe(1)
    const { error } = refused.json() as { error: { code: string; message: string; remedy: string } }
    expect(error).toMatchObject({ code: 'MR4034' })
    expect(error.message).toMatch(words(right))
    expect(error.remedy).toContain('millrace plan JOB --acls')
    await grant(right)
  }
  const allowed = runAsBob()
  expect(await allowed.exit(), allowed.stderr).toBe(0)
  expect((await counted()) + Number(allowed.json().late)).toBe(RECORDS)
})

test('with the right to create them a job makes its topics; without it, it names it', async () => {
  const { acls, commands } = await plannedAcls('--creates', 'all', '--instance-id', 'one')
  await carryOut(commands)
  const creations = acls.filter(({ operation }) => operation === 'Create')
  for (const right of creations) {
    await withdraw(right)
    const refused = runAsBob('--create-topics', '--instance-id', 'one')
    expect(await refused.exit(), `without Create on ${right.name}`).toBe(1)
    expect(refused.json()).toMatchObject({ error: { code: 'MR4034' } })
    expect((refused.json().error as { message: string }).message).toMatch(words(right))
    await grant(right)
    // The others were made.
    await deleteTopics(creations.map((one) => one.name))
  }
  const allowed = runAsBob('--create-topics', '--instance-id', 'one')
  expect(await allowed.exit(), allowed.stderr).toBe(0)
  expect((await counted()) + Number(allowed.json().late)).toBe(RECORDS)
})
