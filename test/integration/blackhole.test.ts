// A whole process whose broker becomes a black hole while it consumes and commits: it never crashes, and it ends with its
// code. Holds SPEC: NATIVE-1, STOP-1.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { type Broker, freePort, startBroker } from '../harness/broker.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'
import { startTcpProxy, type TcpProxy } from '../harness/tcp-proxy.ts'

const CALL_MS = 30_000
const STOP_MS = 2_000
/** A stop and what Node itself takes to end, on a busy machine. */
const END_MS_MAX = STOP_MS + 6_000

let proxy: TcpProxy
let broker: Broker
let brokers: string
let folder: string
let name: string

beforeAll(async () => {
  const port = await freePort()
  proxy = await startTcpProxy(() => port)
  brokers = `127.0.0.1:${proxy.port}`
  // Clients are told the proxy's address and so go on through it.
  broker = await startBroker({ port, settings: { 'advertised.listeners': `PLAINTEXT://${brokers}` } })
})
afterAll(async () => {
  await proxy.close()
  await broker.stop()
})
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-blackhole-'))
  name = `blackhole-${randomUUID()}`
  const admin = await openRdKafka({ brokers }).openAdmin()
  await admin.create([{ name, partitionCount: 2, replicationFactor: 1, config: {} }], CALL_MS)
  await admin.close()
  const file = join(folder, 'job.ts')
  writeFileSync(
    file,
    `import { count, job, kafka, msgpack, tumbling } from 'millrace'
    type Trade = { sym: string; ts: number }
    export default job('${name}').from(kafka('${name}', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts' }))
      .keyBy('sym').window('1s', tumbling('1s')).aggregate({ n: count() })
      .to(kafka('${name}-out', { value: msgpack() }), { emit: 'final' }).toView('v', { emit: 'updates' })`,
  )
})
afterEach(() => {
  proxy.forward()
  endCommandProcesses()
  rmSync(folder, { recursive: true })
})

function generate(rate: number): CommandProcess {
  const flags = ['--brokers', brokers, '--topic', name, '--rate', String(rate), '--records', '1000000', '--json']
  return new CommandProcess([LAUNCHER, 'gen', 'trades', ...flags])
}

function run(...more: string[]): CommandProcess {
  const flags = ['--brokers', brokers, '--state-dir', join(folder, 'state'), '--http-port', '0', '--push-port', '0']
  const limits = ['--limits-stop-ms', `${STOP_MS}ms`, '--limits-call-ms', '1000ms', '--limits-connect-ms', '3000ms']
  return new CommandProcess([
    LAUNCHER,
    'run',
    join(folder, 'job.ts'),
    ...flags,
    ...limits,
    '--create-topics',
    '--json',
    ...more,
  ])
}

test('a stop into silence, with an epoch on its way, is MR6003 within limits.stopMs and ends with 1', async () => {
  generate(5_000)
  const job = run()
  await job.saying(/[1-9][\d,]* results\/s/)
  proxy.swallow()
  const fromMs = performance.now()
  job.child.kill('SIGTERM')
  expect(await job.exit(), job.stderr).toBe(1)
  expect(performance.now() - fromMs).toBeLessThan(END_MS_MAX)
  expect(job.json()).toMatchObject({ command: 'run', error: { code: 'MR6003' } })
})

test('a job whose broker falls silent in the middle of its epochs drops one, goes on when it is back, and ends with 0', async () => {
  generate(5_000)
  // Later flags go before earlier ones.
  const job = run('--limits-attempts-max', '100', '--limits-stop-ms', '20s', '--limits-call-ms', '3s')
  await job.saying(/[1-9][\d,]* results\/s/)
  proxy.swallow()
  await job.saying(/the epoch is dropped|was dropped with the partitions/)
  proxy.forward()
  generate(5_000)
  job.stderr = ''
  await job.saying(/[1-9][\d,]* results\/s/)
  job.child.kill('SIGTERM')
  expect(await job.exit(), job.stderr).toBe(0)
})
