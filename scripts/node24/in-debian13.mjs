// Runs test files of the copy under Node 24 in a Debian 13 of packages (mmdebstrap), whose glibc is new enough for all of it:
// `node in-debian13.mjs TREE NODE FILE...`. Linux, root; in a mount namespace of its own. The exit code is that of the tests.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { debianLayer } from '../image/build.mjs'
import { enterNamespace, environmentArguments, mountLayers, must, PATH } from '../image/namespace.mjs'
import { root } from '../setup/commands.mjs'

const code = enterNamespace()
if (code !== undefined) process.exit(code)

const [tree, node, ...files] = process.argv.slice(2)
const cache = join(root, '.cache/image')
const at = join(cache, 'stages', `tests-${process.pid}`)
const scratch = join(cache, `tests-${process.pid}`)
for (const part of ['upper', 'work']) mkdirSync(join(scratch, part), { recursive: true })
mountLayers(
  [debianLayer(cache, (text) => process.stderr.write(`${text}\n`))],
  at,
  join(scratch, 'upper'),
  join(scratch, 'work'),
)
must('mount', ['-t', 'proc', 'proc', join(at, 'proc')])
must('mount', ['--rbind', '/dev', join(at, 'dev')])
// Under the paths that they have outside: built files name them.
for (const folder of [tree, dirname(dirname(node))]) {
  mkdirSync(join(at, folder), { recursive: true })
  must('mount', ['--bind', folder, join(at, folder)])
}
const env = environmentArguments({ HOME: '/root', PATH: `${dirname(node)}:${PATH}` })
const tests = [node, 'node_modules/vitest/vitest.mjs', 'run', '--project', 'quick', ...files]
const { status } = spawnSync('chroot', [at, 'env', ...env, 'sh', '-c', `cd "$0" && exec "$@"`, tree, ...tests], {
  stdio: 'inherit',
})
must('umount', ['-R', '-l', at])
// Never the tree of `at`: what was bound there is not of this run.
rmdirSync(at)
rmSync(scratch, { recursive: true })
process.exitCode = status ?? 1
