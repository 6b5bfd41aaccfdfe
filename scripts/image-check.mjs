// Builds the image of the Dockerfile without a Docker engine and tries it: `npm run image:check`. Linux, root, mmdebstrap.
// `--lint` reads Dockerfile, compose.yaml and deploy/kubernetes alone, anywhere. stdout: one JSON object, exit code 1 when
// something is not right. Keeps SPEC: IMAGE-1, IMAGE-2.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readDockerfile, settingsOf } from './image/dockerfile.mjs'
import { isOnPath } from './setup/commands.mjs'
import { importTs } from './setup/import-ts.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join(root, '.cache/image')
const say = (text) => process.stderr.write(`${text}\n`)

const isLint = process.argv.includes('--lint')
const unknown = process.argv.slice(2).filter((argument) => argument !== '--lint' && argument !== '--json')
const missing = isLint ? [] : missingParts()
if (unknown.length > 0 || missing.length > 0) {
  for (const argument of unknown) say(`unknown argument ${argument}; there are --lint and --json`)
  for (const part of missing) say(`the image cannot be built here: ${part}; \`--lint\` reads the files alone`)
  process.stdout.write(
    `${JSON.stringify({ command: 'image-check', correct: false, problems: [...unknown, ...missing] })}\n`,
  )
  process.exit(2)
}
if (!isLint) {
  const { enterNamespace } = await import('./image/namespace.mjs')
  const code = enterNamespace()
  if (code !== undefined) process.exit(code)
}

const stages = readDockerfile(join(root, 'Dockerfile'))
const checks = []
for await (const check of allChecks()) {
  checks.push(check)
  say(`${check.problems.length === 0 ? 'ok   ' : 'WRONG'} ${check.name}`)
  for (const problem of check.problems) say(`      ${problem}`)
}
const correct = checks.every((check) => check.problems.length === 0)
process.stdout.write(`${JSON.stringify({ command: 'image-check', correct, isBuilt: !isLint, checks })}\n`)
process.exitCode = correct ? 0 : 1

async function* allChecks() {
  const { checkContext, checkDockerfile } = await import('./image/dockerfile-checks.mjs')
  const { checkFields } = await import('./image/field-checks.mjs')
  const { checkCompose, checkKubernetes } = await import('./image/manifest-checks.mjs')
  const { settingsBy } = await import('./image/settings.mjs')
  const image = settingsOf(stages.at(-1))
  const settings = settingsBy((await importTs('src/ops/config.ts')).loadConfig)
  yield checkDockerfile(root, stages)
  yield checkContext(root.replace(/\/$/, ''), stages)
  yield checkCompose(root, image, settings)
  yield* checkKubernetes(root, image, settings)
  yield checkFields(root)
  if (!isLint) yield* imageChecks()
}

async function* imageChecks() {
  const { buildStages } = await import('./image/build.mjs')
  const { mountLayers } = await import('./image/namespace.mjs')
  const { checkLibraries, checkNoTools, checkOwners, checkPackages } = await import('./image/tree-checks.mjs')
  const { runChecks } = await import('./image/run-checks.mjs')
  const startMs = performance.now()
  const { layers } = buildStages({ stages, context: root.replace(/\/$/, ''), cache, say })
  yield { name: 'build', problems: [], seconds: Math.round((performance.now() - startMs) / 1000) }
  const tree = join(cache, `stages/last-${process.pid}`)
  mountLayers(layers, tree)
  yield checkLibraries(tree)
  yield checkNoTools(tree)
  yield checkPackages(tree, join(root, 'package-lock.json'))
  yield checkOwners(tree)
  const scratch = join(cache, `run-${process.pid}`)
  yield* runChecks(tree, settingsOf(stages.at(-1)), scratch)
  rmSync(scratch, { recursive: true })
}

function missingParts() {
  const parts = []
  if (process.platform !== 'linux') parts.push(`this is ${process.platform}, not Linux`)
  else if (process.getuid() !== 0) parts.push('it takes root (chroot and mounts)')
  for (const [command, name] of [
    ['mmdebstrap', 'mmdebstrap'],
    ['unshare', 'util-linux'],
    ['nsenter', 'util-linux'],
  ]) {
    if (!isOnPath(command)) parts.push(`${command} is missing: apt-get install -y ${name}`)
  }
  return parts
}
