// A server of the push bench, in a process of its own: it waits for its clients, publishes rows at a rate to all of them, and tells what
// that took. Arguments: kind, clients, keys, rows a second, seconds,
// characters that fill a row. Its first line is the port.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server as SocketIo } from 'socket.io'
import { WebSocketServer } from 'ws'
import { END_KEY, type FanOutRow, type Kind, type ServerResult, TICK_MS } from './fan-out.ts'
import { type Fan, millraceFan } from './millrace-fan.ts'

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
const [clients, keys, rate, seconds, padChars] = numbers.map(Number) as [number, number, number, number, number]
const pad = padChars > 0 ? { pad: 'x'.repeat(padChars) } : {}
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
  return { sym: `SYM${number % keys}`, n: number, t, price: (number % 1_000) / 8, ...pad }
}

async function until(isMet: () => boolean): Promise<void> {
  while (!isMet()) await new Promise((resolve) => setTimeout(resolve, 10))
}
