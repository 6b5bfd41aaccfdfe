// A program for child.test.ts: starts a child that would run for ever and says its process id.
import { startChild } from '../../../bench/lib/child.ts'

const child = startChild(['-e', 'setInterval(() => {}, 1000)'])
process.stdout.write(`${child.pid}\n`)
await child.end
