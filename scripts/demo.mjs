// Sets up what is missing, then runs `millrace demo` with the given arguments. stdout belongs to the demo.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { root } from './setup/commands.mjs'
import { orExplain, setUp } from './setup.mjs'

await orExplain(async () => {
  await setUp()
  // A process group of its own: Ctrl-C reaches it once, through us, and not a second time from the terminal (a second
  // signal means "at once").
  const args = [join(root, 'bin/millrace.cjs'), 'demo', ...process.argv.slice(2)]
  const child = spawn(process.execPath, args, { stdio: 'inherit', detached: true })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  process.exitCode = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]))
  })
})
