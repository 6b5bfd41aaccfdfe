// Builds node-rdkafka and its librdkafka on all cores, with the headers of the running Node where they are installed
// (no download then). Prints what the tools print. Node built-ins only.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
export const rdkafkaFolder = join(root, 'node_modules/node-rdkafka')
const nodeGyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js')

/** `--nodedir=...` when the headers of the running Node lie beside it, else nothing: node-gyp fetches them. */
export function nodedirArgs() {
  const prefix = dirname(dirname(process.execPath))
  return existsSync(join(prefix, 'include/node/node.h')) ? [`--nodedir=${prefix}`] : []
}

/** The steps, in order: [folder, command, args]. */
export function rdkafkaBuildSteps(jobs = availableParallelism()) {
  const deps = join(rdkafkaFolder, 'deps')
  return [
    [rdkafkaFolder, process.execPath, [nodeGyp, 'configure', ...nodedirArgs()]],
    [deps, process.execPath, ['../util/configure']],
    [rdkafkaFolder, 'make', [`-j${jobs}`, '-C', 'deps/librdkafka', 'libs']],
    [rdkafkaFolder, process.execPath, [nodeGyp, 'build', '-j', String(jobs), ...nodedirArgs()]],
  ]
}

async function main() {
  for (const [cwd, command, args] of rdkafkaBuildSteps()) {
    const child = spawn(command, args, { cwd, stdio: 'inherit' })
    const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
    if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
