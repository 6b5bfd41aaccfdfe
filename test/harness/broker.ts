// A real Kafka for tests: one KRaft node in a JVM of its own, on free ports, in a temporary folder.
// Runs in the test runner's process. The JVM ends with `stop`, with `kill`, and when this process ends.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { KAFKA_VERSION, kafkaJars, requireBrokerTools } from '../../scripts/kafka-jars.mjs'

export { requireBrokerTools }

const START_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 20_000
const PROBE_EVERY_MS = 50

export interface Broker {
  /** Address for `bootstrap.servers`. */
  readonly brokers: string
  /** Process id of the JVM, of the latest start. */
  readonly pid: number
  readonly logFile: string
  /** Ends the JVM in order and removes its folder. */
  stop(): Promise<void>
  /** SIGKILL, as a machine that dies; `restart` brings it back with what it has on disk. */
  kill(): Promise<void>
  /** Starts it again on the same ports and folder; stops it first when it runs. */
  restart(): Promise<void>
}

export interface BrokerOptions {
  /** Broker settings over the harness's own. */
  settings?: Record<string, string | number>
  /** Given instead of chosen, e.g. when a proxy stands before the broker. */
  port?: number
}

interface Place {
  folder: string
  logFile: string
  port: number
}

/**
 * Starts a broker and waits until it answers.
 *
 * @throws with the end of the broker's log when it does not come up
 * @example
 * const broker = await startBroker({ settings: { 'message.max.bytes': 100_000 } })
 * try { ... } finally { await broker.stop() }
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  requireBrokerTools()
  const libs = kafkaJars()
  const folder = await mkdtemp(join(tmpdir(), 'millrace-broker-'))
  const place: Place = { folder, logFile: join(folder, 'broker.log'), port: options.port ?? (await freePort()) }
  await writeFile(join(folder, 'log4j2.properties'), LOG_SETTINGS)
  await cp(await formattedFolder(libs), join(folder, 'data'), { recursive: true })
  const properties = settingsText(serverSettings(join(folder, 'data'), place.port, await freePort(), options.settings))
  await writeFile(join(folder, 'server.properties'), properties)
  let running = await launch(libs, place)
  return {
    brokers: `127.0.0.1:${place.port}`,
    get pid() {
      return running.pid
    },
    logFile: place.logFile,
    async stop() {
      await end(running, 'SIGTERM')
      await rm(folder, { recursive: true, force: true })
    },
    kill: () => end(running, 'SIGKILL'),
    async restart() {
      await end(running, 'SIGTERM')
      running = await launch(libs, place)
    },
  }
}

interface Running {
  child: ChildProcess
  /** Of the JVM, not of the shell around it. */
  pid: number
  ended: Promise<void>
}

/** A shell holds the JVM and kills it when its own input closes: that is when this process ends, however it ends. */
const HOLDER = `
exec 3<&0
"$@" </dev/null >&2 &
jvm=$!
(cat <&3 >/dev/null; kill -9 $jvm 2>/dev/null) &
watcher=$!
echo $jvm
wait $jvm
status=$?
kill $watcher 2>/dev/null
exit $status`

async function launch(libs: string, place: Place): Promise<Running> {
  const log = openSync(place.logFile, 'a')
  const arguments_ = [...jvmArguments(libs, place.folder), 'kafka.Kafka', join(place.folder, 'server.properties')]
  const child = spawn('sh', ['-c', HOLDER, 'sh', 'java', ...arguments_], { stdio: ['pipe', 'pipe', log] })
  closeSync(log)
  // A shell that is gone already must not end the tests with a broken pipe.
  child.stdin!.on('error', () => child.stdin!.destroy())
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      child.stdin!.end()
      resolve()
    })
  })
  const pid = await firstNumber(child)
  const running: Running = { child, pid, ended }
  try {
    await untilAnswering(place, running)
  } catch (error) {
    await end(running, 'SIGKILL')
    throw error
  }
  return running
}

function firstNumber(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout!.on('data', (chunk) => {
      text += String(chunk)
      if (text.includes('\n')) resolve(Number(text))
    })
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`the shell of the broker ended with ${code}`)))
  })
}

async function end(running: Running, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (running.child.exitCode === null && running.child.signalCode === null) process.kill(running.pid, signal)
  const hardEnd = setTimeout(() => process.kill(running.pid, 'SIGKILL'), STOP_LIMIT_MS)
  await running.ended
  clearTimeout(hardEnd)
}

async function untilAnswering(place: Place, running: Running): Promise<void> {
  const deadline = Date.now() + START_LIMIT_MS
  while (!(await answers(place.port))) {
    const isGone = running.child.exitCode !== null || running.child.signalCode !== null
    if (!isGone && Date.now() < deadline) {
      await sleep(PROBE_EVERY_MS)
      continue
    }
    const tail = (await readFile(place.logFile, 'utf8')).trimEnd().split('\n').slice(-30).join('\n')
    throw new Error(`The test broker ${isGone ? 'ended' : `did not answer within ${START_LIMIT_MS} ms`}:\n${tail}`)
  }
}

/** Asks for the broker's API versions (request 18, version 0): it answers when it serves clients. */
function answers(port: number): Promise<boolean> {
  const request = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    const done = (isAnswer: boolean) => {
      socket.destroy()
      resolve(isAnswer)
    }
    socket.setTimeout(1_000, () => done(false))
    socket.once('data', () => done(true))
    socket.once('error', () => done(false))
    socket.once('close', () => done(false))
  })
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('no port')
      server.close(() => resolve(address.port))
    })
  })
}

/** A formatted data folder, made once and copied for every broker: formatting takes a JVM of its own. */
async function formattedFolder(libs: string): Promise<string> {
  const cache = fileURLToPath(new URL(`../../.cache/kafka-${KAFKA_VERSION}`, import.meta.url))
  const formatted = join(cache, 'formatted')
  if (existsSync(formatted)) return formatted
  const arriving = await mkdtemp(join(cache, 'formatting-'))
  const properties = join(arriving, 'server.properties')
  await mkdir(join(arriving, 'data'))
  await writeFile(properties, settingsText(serverSettings(join(arriving, 'data'), 9092, 9093, {})))
  const command = ['-cp', `${libs}/*`, 'kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', properties]
  const run = spawnSync('java', command, { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`The test broker's folder could not be formatted:\n${run.stdout}${run.stderr}`)
  // Two test runs may format at once: the first one stands.
  if (!existsSync(formatted)) await rename(join(arriving, 'data'), formatted)
  await rm(arriving, { recursive: true, force: true })
  return formatted
}

const CLUSTER_ID = 'bWlsbHJhY2UtdGVzdHMtMQ'

function jvmArguments(libs: string, folder: string): string[] {
  const memory = ['-Xms256m', '-Xmx1g', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-XX:-UsePerfData', '-Xshare:auto']
  return [...memory, `-Dlog4j2.configurationFile=${join(folder, 'log4j2.properties')}`, '-cp', `${libs}/*`]
}

function serverSettings(
  dataFolder: string,
  port: number,
  controllerPort: number,
  overrides: Record<string, string | number> = {},
): Record<string, string | number> {
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': dataFolder,
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': 0,
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // A broker that was killed may come back when its old session is over.
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1_000,
    ...overrides,
  }
}

function settingsText(settings: Record<string, string | number>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

const LOG_SETTINGS = `
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ABSOLUTE} %-5p %c{1}: %m%n
`
