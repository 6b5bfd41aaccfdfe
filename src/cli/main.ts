// The `millrace` command's entry. Started by bin/millrace.cjs, which sizes libuv's pool before any module loads.
// Main thread. Keeps SPEC: CONFIG-3.

import { redacted } from '../ops/redact.ts'
import { errorWords } from './command.ts'
import { runCli } from './program.ts'

// A defect, or a callback of a job that throws: told like any error, without the secrets of the configuration.
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    process.stderr.write(`${redacted(errorWords(error))}\n`)
    process.exit(1)
  })
}

const code = await runCli(process.argv.slice(2), process, process.env)
// Handles that native clients still hold must not keep the process: everything that matters is closed by now.
process.exit(code)
