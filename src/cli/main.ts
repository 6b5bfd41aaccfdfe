// The `millrace` command's entry. Started by bin/millrace.cjs, which sizes libuv's pool before any module loads.
// Main thread.

import { runCli } from './program.ts'

const code = await runCli(process.argv.slice(2), process, process.env)
// Handles that native clients still hold must not keep the process: everything that matters is closed by now.
process.exit(code)
