#!/usr/bin/env node
// Starts the command with enough libuv pool threads. CommonJS on purpose: loading an ES module already starts the pool,
// and its size is fixed from then on. Kafka calls of node-rdkafka and of the addon, and LMDB, wait in these threads.
process.env.UV_THREADPOOL_SIZE ??= '16'
// The kernel keeps from process 1 of a container every signal that nobody listens to: a stop while the command still loads, or
// of a command that does not listen, would wait for its SIGKILL. Keeps SPEC: CLI-6.
if (process.pid === 1) {
  const end = (signal, number) => {
    if (process.listenerCount(signal) === 1) process.exit(128 + number)
  }
  process.on('SIGTERM', end).on('SIGINT', end)
}
import('../dist/src/cli/main.js').catch((error) => {
  process.stderr.write(
    error?.code === 'ERR_MODULE_NOT_FOUND' && String(error.message).includes('cli/main.js')
      ? 'millrace is not built yet: run `node scripts/setup.mjs` first\n'
      : `${error?.stack ?? error}\n`,
  )
  process.exit(1)
})
