// `npm run example -- NAME [options]`: runs examples/NAME/run.ts, which plays something into Kafka, runs the job beside it
// and checks what came out. An unknown name is answered with those that there are.
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const program = (name) => `examples/${name}/run.ts`
const names = readdirSync(join(root, 'examples')).filter((name) => existsSync(join(root, program(name))))

const [name, ...args] = process.argv.slice(2)
if (names.includes(name)) {
  process.argv = [process.argv[0], join(root, 'scripts/run-ts.mjs'), program(name), ...args]
  await import('./run-ts.mjs')
} else {
  const problem = name === undefined ? 'which example?' : `there is no example ${name}`
  process.stderr.write(`${problem}; there are: ${names.join(', ')}\n`)
  if (process.argv.includes('--json')) {
    process.stdout.write(
      `${JSON.stringify({ command: 'example', correct: false, error: { message: problem, names } })}\n`,
    )
  }
  process.exitCode = 2
}
