// Runs suites of a copy of the tree under Node 24 in a Debian 13 of packages (mmdebstrap), whose glibc is the image's:
// `node in-debian13.mjs TREE NODE SUITE...`. Linux, root; in a mount namespace of its own. The exit code is that of the tests.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { debianLayer } from '../image/build.mjs'
import { enterNamespace, environmentArguments, mountLayers, must, PATH } from '../image/namespace.mjs'
import { KAFKA_VERSION } from '../kafka-jars.mjs'
import { root } from '../setup/commands.mjs'
import { NEEDS_COMPILER } from './left-out.mjs'

/** What the suites call: a broker, certificates, a browser, lists of processes. */
const PACKAGES = ['ca-certificates', 'chromium', 'openjdk-21-jre-headless', 'openssl', 'procps']

const code = enterNamespace()
if (code !== undefined) process.exit(code)

const [tree, node, ...suites] = process.argv.slice(2)
const cache = join(root, '.cache/image')
const at = join(cache, 'stages', `tests-${process.pid}`)
const scratch = join(cache, `run-${process.pid}`)
for (const part of ['upper', 'work']) mkdirSync(join(scratch, part), { recursive: true })
const debian = debianLayer(cache, (text) => process.stderr.write(`${text}\n`), PACKAGES)
mountLayers([debian], at, join(scratch, 'upper'), join(scratch, 'work'))
must('mount', ['-t', 'proc', 'proc', join(at, 'proc')])
for (const folder of ['/dev', '/sys']) must('mount', ['--rbind', folder, join(at, folder)])
// Under the paths that they have outside: built files and links name them.
for (const folder of [tree, dirname(dirname(node)), join(root, `.cache/kafka-${KAFKA_VERSION}`)]) {
  if (!existsSync(folder)) continue
  mkdirSync(join(at, folder), { recursive: true })
  must('mount', ['--bind', folder, join(at, folder)])
}
cpSync('/etc/hosts', join(at, 'etc/hosts'))
const env = environmentArguments({ HOME: '/root', PATH: `${dirname(node)}:${PATH}` })
const without = NEEDS_COMPILER.flatMap((path) => ['--without', path])
const tests = [node, 'scripts/test.mjs', ...without, ...suites]
const { status } = spawnSync('chroot', [at, 'env', ...env, 'sh', '-c', 'cd "$0" && exec "$@"', tree, ...tests], {
  stdio: 'inherit',
})
must('umount', ['-R', '-l', at])
// Never the tree of `at`: what was bound there is not of this run.
rmdirSync(at)
rmSync(scratch, { recursive: true })
process.exitCode = status ?? 1
