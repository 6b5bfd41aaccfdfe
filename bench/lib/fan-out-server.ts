// A server of the push bench, in a process of its own: it waits for its clients, publishes rows at a rate to all of them, and tells what
// that took. Arguments: kind, clients, keys, rows a second, seconds. Its first line is the port.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server as SocketIo } from 'socket.io'
import { WebSocketServer } from 'ws'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { createLog } from '../../src/ops/log.ts'
import { Registry } from '../../src/ops/metrics.ts'
import { startPush } from '../../src/push/server.ts'
import { END_KEY, type FanOutRow, type Kind, type ServerResult, TICK_MS } from './fan-out.ts'

interface Fan {
  port: number
  clientCount(): number
  publish(rows: readonly FanOutRow[]): void
  conflated(): number
}

async function millraceFan(clients: number): Promise<Fan> {
  const topic = 'job-view-prices'
  const kafka = createMemoryKafka({ topics: { [topic]: 1 } })
  const metrics = new Registry({ nowMs: () => performance.now() })
  const log = createLog({
    level: 'warn',
    format: 'json',
    isTerminal: false,
    write: (line) => process.stderr.write(line),
  })
  const limits = { connectionsMax: clients, connectionsPerAddressMax: clients }
  const push = await startPush({ kafka, views: [{ name: 'prices', topic }], port: 0, log, metrics, limits })
  const numberOf = (name: string): number =>
    Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(metrics.text())?.[1] ?? 0)
  return {
    port: push.port,
    clientCount: () => numberOf('millrace_push_subscriptions'),
    publish: (rows) => {
      for (const row of rows) kafka.append(topic, { key: row.sym, value: JSON.stringify(row), timestampMs: row.t })
    },
    conflated: () => numberOf('millrace_push_conflated_total'),
  }
}

async function wsFan(isBatched: boolean): Promise<Fan> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    clientCount: () => server.clients.size,
    publish: (rows) => {
      for (const part of isBatched ? [rows] : rows.map((row) => [row])) {
        const message = JSON.stringify(part)
        for (const client of server.clients) client.send(message)
      }
    },
    conflated: () => 0,
  }
}

async function socketIoFan(isBatched: boolean): Promise<Fan> {
  const http = createServer()
  const io = new SocketIo(http, { transports: ['websocket'], perMessageDeflate: false })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  return {
    port: (http.address() as AddressInfo).port,
    clientCount: () => io.of('/').sockets.size,
    publish: (rows) => {
      for (const part of isBatched ? [rows] : rows.map((row) => [row])) io.emit('rows', part)
    },
    conflated: () => 0,
  }
}

const FANS: Record<Kind, (clients: number) => Promise<Fan>> = {
  millrace: millraceFan,
  ws: () => wsFan(false),
  'ws-batched': () => wsFan(true),
  'socket.io': () => socketIoFan(false),
  'socket.io-batched': () => socketIoFan(true),
}

const [kind, ...numbers] = process.argv.slice(2) as [Kind, ...string[]]
const [clients, keys, rate, seconds] = numbers.map(Number) as [number, number, number, number]
const fan = await FANS[kind](clients)
process.stdout.write(`${JSON.stringify({ port: fan.port })}\n`)
await until(() => fan.clientCount() >= clients)
const before = process.cpuUsage()
const startMs = performance.now()
let n = 0
await new Promise<void>((resolve) => {
  const timer = setInterval(() => {
    const elapsedMs = Math.min(performance.now() - startMs, seconds * 1_000)
    const rows: FanOutRow[] = []
    // As many as are due; each of a key of its own, so that none replaces another that waits.
    for (const due = Math.floor((elapsedMs / 1_000) * rate); n < due; ) rows.push(rowOf(++n))
    if (rows.length > 0) fan.publish(rows)
    if (elapsedMs < seconds * 1_000) return
    clearInterval(timer)
    fan.publish([{ ...rowOf(n), sym: END_KEY }])
    resolve()
  }, TICK_MS)
})
const publishMs = performance.now() - startMs
await until(() => fan.clientCount() === 0)
const { user, system } = process.cpuUsage(before)
const result: ServerResult = {
  rows: n,
  publishMs,
  rssBytesMax: process.resourceUsage().maxRSS * 1024,
  conflated: fan.conflated(),
  cpuMs: (user + system) / 1_000,
}
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))

function rowOf(number: number): FanOutRow {
  const t = Math.round((performance.timeOrigin + performance.now()) * 100) / 100
  return { sym: `SYM${number % keys}`, n: number, t, price: (number % 1_000) / 8 }
}

async function until(isMet: () => boolean): Promise<void> {
  while (!isMet()) await new Promise((resolve) => setTimeout(resolve, 10))
}
