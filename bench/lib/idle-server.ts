// A push server whose clients have nothing to read, in a process of its own: the memory that they take. Arguments: clients, keys. Its first
// line is the port, its last the result.
import type { IdleResult } from './fan-out.ts'
import { millraceFan } from './millrace-fan.ts'

/** Memory is looked at so often, until it has not moved by more than a hundredth for as long as SETTLED_LOOKS. */
const LOOK_MS = 200
const SETTLED_LOOKS = 10
const LOOKS_MAX = 150

const [clients, keys] = process.argv.slice(2).map(Number) as [number, number]
const fan = await millraceFan(clients)
fan.publish(Array.from({ length: keys }, (_, i) => ({ sym: `SYM${i}`, n: i, t: Date.now(), price: i / 8 })))
const baseBytes = await settledBytes()
process.stdout.write(`${JSON.stringify({ port: fan.port })}\n`)
while (fan.clientCount() < clients) await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
const bytes = await settledBytes()
const result: IdleResult = { clients, baseBytes, bytes, bytesPerClient: Math.round((bytes - baseBytes) / clients) }
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))

async function settledBytes(): Promise<number> {
  let last = process.memoryUsage.rss()
  for (let looks = 0, settled = 0; looks < LOOKS_MAX && settled < SETTLED_LOOKS; looks++) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    const now = process.memoryUsage.rss()
    settled = Math.abs(now - last) < last / 100 ? settled + 1 : 0
    last = now
  }
  return last
}
