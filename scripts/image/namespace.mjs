// Mounts and processes of the image check: in a mount namespace of its own, so that nothing of it outlives the check. Linux, root.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MARK = 'MILLRACE_IMAGE_CHECK_NAMESPACE'

/** Starts this program again in a mount namespace of its own; the exit code, or undefined when this is in it already. */
export function enterNamespace() {
  if (process.env[MARK] !== undefined) return undefined
  const { status, error } = spawnSync(
    'unshare',
    ['--mount', '--propagation', 'private', process.execPath, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...process.env, [MARK]: '1' } },
  )
  if (error !== undefined) throw error
  return status ?? 1
}

/** Runs a command to its end; its output, or an error with the end of it. */
export function must(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options })
  if (result.status === 0) return result.stdout
  const tail = `${result.stdout ?? ''}\n${result.stderr ?? ''}`.trim().split('\n').slice(-40).join('\n')
  throw new Error(`${command} ${args.join(' ')} failed (${result.signal ?? result.status}):\n${tail}`)
}

/** Mounts layers, the topmost first, at `at`. Writes go to `upper`; without it the tree is read-only. */
export function mountLayers(layers, at, upper, work) {
  mkdirSync(at, { recursive: true })
  const writable = upper === undefined ? '' : `,upperdir=${upper},workdir=${work}`
  // Overlay of one layer alone needs a second one.
  const lower = layers.length === 1 && upper === undefined ? [...layers, emptyFolder(at)] : layers
  must('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${lower.join(':')}${writable}`, at])
}

function emptyFolder(at) {
  const path = `${at}.empty`
  mkdirSync(path, { recursive: true })
  return path
}

export function unmount(at) {
  must('umount', ['-R', at])
}

/** What a RUN may use of the machine: devices, processes, names of hosts, certificates of its network, a cache of packages. */
export function mountBuildMachine(root, npmCache) {
  must('mount', ['-t', 'proc', 'proc', join(root, 'proc')])
  must('mount', ['--rbind', '/dev', join(root, 'dev')])
  must('mount', ['-t', 'tmpfs', 'tmpfs', join(root, 'run')])
  mkdirSync(join(root, 'run/npm'))
  mkdirSync(npmCache, { recursive: true })
  must('mount', ['--bind', npmCache, join(root, 'run/npm')])
  const certificates = '/etc/ssl/certs/ca-certificates.crt'
  if (existsSync(certificates)) writeFileSync(join(root, 'run/certificates.crt'), readFileSync(certificates))
  const bound = []
  for (const name of ['etc/resolv.conf', 'etc/hosts']) {
    const target = join(root, name)
    if (!existsSync(target)) writeFileSync(target, '')
    must('mount', ['--bind', `/${name}`, target])
    bound.push(target)
  }
  return () => {
    for (const path of [...bound, join(root, 'run/npm'), join(root, 'run')]) must('umount', [path])
    must('umount', ['-l', join(root, 'dev')])
    must('umount', [join(root, 'proc')])
  }
}

/** Environment of a RUN beside the image's own. */
export const BUILD_MACHINE_ENV = {
  HOME: '/root',
  NODE_EXTRA_CA_CERTS: '/run/certificates.crt',
  npm_config_cafile: '/run/certificates.crt',
  npm_config_cache: '/run/npm',
  npm_config_update_notifier: 'false',
}

export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The arguments of `env` for exactly these variables. */
export function environmentArguments(env) {
  return ['-i', ...Object.entries({ PATH, ...env }).map(([name, value]) => `${name}=${value}`)]
}

/**
 * Starts a command as a container's engine would: process 1 of a process namespace, in `root`, as `user`, with `env` alone.
 *
 * @param {{ root: string, user: string, workdir: string, env: Record<string, string>, cgroup?: string }} container
 * @param {string[]} command
 */
export function startContained(container, command) {
  const { root, user, workdir, env, cgroup } = container
  const join_ = cgroup === undefined ? '' : `echo 0 > ${cgroup}/cgroup.procs && `
  const unshared = ['--pid', '--fork', '--kill-child', '--mount', '--propagation', 'private']
  const script = `mount -t proc proc ${root}/proc && exec chroot --userspec=${user} ${root} env "$@"`
  const inside = ['sh', '-c', `cd "$0" && exec "$@"`, workdir, ...command]
  return spawn(
    'sh',
    [
      '-c',
      `${join_}exec unshare ${unshared.join(' ')} sh -c '${script}' sh "$@"`,
      'sh',
      ...environmentArguments(env),
      ...inside,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  )
}

/** The process that is 1 inside, by its number outside; undefined while it is not there. */
export function processOneOf(child) {
  const path = `/proc/${child.pid}/task/${child.pid}/children`
  if (!existsSync(path)) return undefined
  const [first] = readFileSync(path, 'utf8').trim().split(' ')
  return first ? Number(first) : undefined
}

/** A memory group with a limit, where this machine lets one be made; undefined elsewhere. */
export function memoryGroup(bytes) {
  const isOne = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes')
  const parent = isOne ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup'
  const path = join(parent, `millrace-image-check-${process.pid}`)
  try {
    mkdirSync(path)
    writeFileSync(join(path, isOne ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes))
  } catch (error) {
    return { path: undefined, reason: error.message }
  }
  const read = (name) => readFileSync(join(path, name), 'utf8')
  const peak = () => Number(read(isOne ? 'memory.max_usage_in_bytes' : 'memory.peak'))
  const kills = () => Number(read(isOne ? 'memory.oom_control' : 'memory.events').match(/oom_kill (\d+)/)?.[1] ?? 0)
  return { path, peak, kills, remove: () => must('rmdir', [path]) }
}

/** Every regular file below a folder, links not followed. */
export function* filesBelow(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesBelow(path)
    else if (entry.isFile()) yield path
  }
}
