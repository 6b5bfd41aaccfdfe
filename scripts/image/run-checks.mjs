// Runs the image's last tree as an engine would: read-only, its own user, process 1, one writable folder, a limit of memory.

import { spawnSync } from 'node:child_process'
import { chownSync, cpSync, mkdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { environmentArguments, memoryGroup, must, processOneOf, startContained, unmount } from './namespace.mjs'

const START_MS_MAX = 60_000
const STOP_MS_MAX = 10_000
const LOOK_EVERY_MS = 100
const PROBE_MS_MAX = 5000
/** Pods of this size are common; what a job with this many lanes must fit into. */
const SMALL_BYTES = 512 * 1024 * 1024
const SMALL_LANES = '2'

/** @typedef {import('./tree-checks.mjs').Check} Check */

/**
 * @param {string} root mounted read-only
 * @param {ReturnType<import('./dockerfile.mjs').settingsOf>} settings
 * @param {string} scratch a folder of this check's own
 * @returns {AsyncGenerator<Check>}
 */
export async function* runChecks(root, settings, scratch) {
  const container = prepare(root, settings, scratch)
  try {
    yield await checkCommand(container, ['--version'], (text) => /^\d+\.\d+\.\d+\s*$/.test(text))
    yield await checkCommand(container, ['plan', '/job/job.ts', '--json'], (text) => lastJson(text)?.job === 'candles')
    yield await checkReadOnly(container)
    yield await checkNoBroker(container, settings)
    yield await checkDemoToItsEnd(container)
    yield await checkServing(container, settings)
    yield await checkEarlyStop(container, settings)
  } finally {
    for (const mount of container.mounts.reverse()) unmount(mount)
  }
}

/** The mounts of a container: devices, /sys to read, the job, the volume. */
function prepare(root, settings, scratch) {
  const [volume] = settings.volumes
  const data = join(scratch, 'data')
  const job = join(scratch, 'job')
  rmSync(scratch, { recursive: true, force: true })
  for (const folder of [data, job]) mkdirSync(folder, { recursive: true })
  const [uid, gid] = settings.user.split(':').map(Number)
  chownSync(data, uid, gid)
  cpSync(join(root, 'app/examples/candles/job.ts'), join(job, 'job.ts'))
  const mounts = []
  const bind = (from, to, ...more) => {
    must('mount', ['--bind', from, to])
    mounts.push(to)
    if (more.length > 0) must('mount', ['-o', `remount,bind,${more.join(',')}`, to])
  }
  must('mount', ['--rbind', '/dev', join(root, 'dev')])
  must('mount', ['--rbind', '/sys', join(root, 'sys')])
  bind(job, join(root, 'job'), 'ro')
  bind(data, join(root, volume))
  return {
    root,
    user: settings.user,
    workdir: settings.workdir,
    env: settings.env,
    mounts,
    data,
    command: settings.entrypoint.words,
  }
}

/** Starts the image's entrypoint with arguments; its output and how it ended. */
function start(container, args, env = {}, cgroup = undefined) {
  const child = startContained({ ...container, env: { ...container.env, ...env }, cgroup }, [
    ...container.command,
    ...args,
  ])
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].on('data', (text) => (output[name] += text))
  const ended = new Promise((resolve) =>
    child.once('close', (code, signal) => resolve({ code: code ?? signal, ...output })),
  )
  return { child, output, ended }
}

async function checkCommand(container, args, isRight) {
  const { code, stdout, stderr } = await start(container, args).ended
  const problems = code === 0 && isRight(stdout) ? [] : [`exit ${code}: ${tail(stdout)} ${tail(stderr)}`]
  return { name: `millrace ${args[0]}`, problems }
}

/** The user is who it should be, and only the volume can be written. */
async function checkReadOnly(container) {
  const probe = `
    const { writeFileSync } = require('node:fs')
    const tried = ['/app/x', '/tmp/x', '/job/x', '/x', '/data/x'].filter((path) => { try { writeFileSync(path, ''); return true } catch { return false } })
    console.log(JSON.stringify({ uid: process.getuid(), pid: process.pid, version: process.version, written: tried }))`
  const child = startContained(container, ['node', '-e', probe])
  let text = ''
  child.stdout.on('data', (chunk) => (text += chunk))
  await new Promise((resolve) => child.once('close', resolve))
  const found = lastJson(text) ?? {}
  const [uid] = container.user.split(':').map(Number)
  const problems = []
  if (found.uid !== uid) problems.push(`it runs as ${found.uid}, not ${uid}`)
  if (found.pid !== 1) problems.push(`it is process ${found.pid}, not 1`)
  if (JSON.stringify(found.written) !== '["/data/x"]') problems.push(`written: ${JSON.stringify(found.written)}`)
  return { name: 'read-only tree, own user', problems, ...found }
}

/** The image's CMD, without a broker: it gets as far as Kafka and says so. */
async function checkNoBroker(container, settings) {
  const env = { MILLRACE_BROKERS: '127.0.0.1:1', MILLRACE_LIMITS_CONNECT_MS: '1s' }
  const { code, stderr } = await start(container, settings.cmd.words, env).ended
  const problems = code === 1 && stderr.includes('MR4001') ? [] : [`exit ${code}: ${tail(stderr)}`]
  return { name: 'the command of the image without a broker', problems }
}

/** The example on the broker inside the process, counted against what was written. */
async function checkDemoToItsEnd(container) {
  const { code, stdout, stderr } = await start(container, ['demo', '--seconds', '5', '--json']).ended
  const result = lastJson(stdout)
  const problems = code === 0 && result?.correct === true ? [] : [`exit ${code}: ${tail(stdout)} ${tail(stderr)}`]
  if (/plain path|could not be loaded/.test(stderr)) problems.push(`the addon does not serve: ${tail(stderr)}`)
  return { name: 'candles to their end', problems, records: result?.records, results: result?.results }
}

/** Serving in a small container: probes answer as the HEALTHCHECK asks, memory holds, SIGTERM ends it with 0 in time. */
async function checkServing(container, settings) {
  const problems = []
  const group = memoryGroup(SMALL_BYTES)
  const env = {
    MILLRACE_HTTP_PORT: String(await freePort()),
    MILLRACE_PUSH_PORT: String(await freePort()),
    MILLRACE_LANES: SMALL_LANES,
  }
  const run = start(container, ['demo', '--rate', '20000'], env, group.path)
  try {
    const probe = settings.healthcheck.words
    let failure
    const isReady = () => {
      failure = probeFailure(run, container, [...probe, '--ready'], env)
      return failure === undefined
    }
    await until(isReady, run, problems, () => `not ready: ${failure}`)
    if (problems.length === 0) {
      const unhealthy = probeFailure(run, container, probe, env)
      if (unhealthy !== undefined) problems.push(`the HEALTHCHECK fails: ${unhealthy}`)
      const page = await fetch(`http://127.0.0.1:${env.MILLRACE_PUSH_PORT}/`)
      if (page.status !== 200) problems.push(`the page answers ${page.status}`)
      await new Promise((resolve) => setTimeout(resolve, SERVE_MS))
    }
    const stopped = await stop(run, problems)
    const megabytesPeak = group.path === undefined ? undefined : Math.round(group.peak() / 1e6)
    if (group.path !== undefined && group.kills() > 0) problems.push('the kernel ended it for memory')
    const memory =
      group.path === undefined
        ? { memoryLimit: `not tried: ${group.reason}` }
        : { memoryLimitMegabytes: SMALL_BYTES / 1e6, megabytesPeak }
    return { name: 'serving, probes, SIGTERM', problems, lanes: Number(SMALL_LANES), ...memory, ...stopped }
  } finally {
    group.remove?.()
  }
}

/** How long the job serves before it is stopped: some thousand candles, some flushes. */
const SERVE_MS = 5000

/** SIGTERM as soon as the process is there, before anything of it is loaded. */
async function checkEarlyStop(container, settings) {
  const problems = []
  const run = start(container, settings.cmd.words, { MILLRACE_BROKERS: '127.0.0.1:1' })
  await until(
    () => run.output.stderr.includes('brokers') || isNode(run),
    run,
    problems,
    () => 'not there',
  )
  const stopped = await stop(run, problems, [0, 1, 143])
  return { name: 'SIGTERM while it starts', problems, ...stopped }
}

/** True once process 1 is node and no longer a step to it. */
function isNode(run) {
  const pid = processOneOf(run.child)
  return pid !== undefined && must('cat', [`/proc/${pid}/comm`]).trim() === 'node'
}

/** Runs the probe as an engine does: a new process beside process 1, with its environment. Undefined when it says yes. */
function probeFailure(run, container, probe, env) {
  const pid = processOneOf(run.child)
  if (pid === undefined) return 'there is no process 1'
  const variables = environmentArguments({ ...container.env, ...env })
  const [uid, gid] = container.user.split(':')
  const result = spawnSync(
    'nsenter',
    ['-t', String(pid), '-p', '-m', '-r', '-w', '-S', uid, '-G', gid, '/usr/bin/env', ...variables, ...probe],
    { encoding: 'utf8', timeout: PROBE_MS_MAX },
  )
  return result.status === 0 ? undefined : `exit ${result.status}: ${tail(result.stdout)} ${tail(result.stderr)}`
}

async function until(isSo, run, problems, what) {
  const endMs = performance.now() + START_MS_MAX
  while (!isSo()) {
    if (run.child.exitCode !== null || performance.now() > endMs) {
      problems.push(`it is ${what()}: ${tail(run.output.stdout)} ${tail(run.output.stderr)}`)
      return
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

/** SIGTERM to process 1, as `docker stop` does; SIGKILL after the time that Docker would give. */
async function stop(run, problems, codes = [0]) {
  const pid = processOneOf(run.child)
  const beganMs = performance.now()
  if (pid !== undefined) process.kill(pid, 'SIGTERM')
  const limit = setTimeout(() => process.kill(pid ?? run.child.pid, 'SIGKILL'), STOP_MS_MAX)
  const { code, stderr } = await run.ended
  clearTimeout(limit)
  const stopMs = Math.round(performance.now() - beganMs)
  if (!codes.includes(code)) problems.push(`exit ${code} after SIGTERM in ${stopMs} ms: ${tail(stderr)}`)
  return { exitCode: code, stopMs }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

function lastJson(text) {
  try {
    return JSON.parse(text.trimEnd().split('\n').at(-1))
  } catch {
    return undefined
  }
}

const tail = (text) => text.trim().split('\n').slice(-8).join(' | ')
