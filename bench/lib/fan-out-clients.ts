// The clients of the push bench, in a process of its own: bare sockets that read frames, count the rows in them and look whether one is
// missing. Decoding every row would measure JSON.parse. Beside them there may be others that are not looked at: they read, or they stop to.
// Arguments: kind, port, clients, others, whether the others read.
import { JSON_PROTOCOL } from '../../src/protocol/messages.ts'
import { BareSocket, openAll } from './bare-socket.ts'
import { type ClientsResult, END_KEY, type Kind } from './fan-out.ts'

const [kind, portText, clientsText, othersText, doOthersRead] = process.argv.slice(2) as [Kind, ...string[]]
const [port, clients, others] = [Number(portText), Number(clientsText), Number(othersText)]
/** Of so many clients one counts every row. */
const THOROUGH_EVERY = 20

const PATHS: Record<Kind, string> = {
  millrace: '/live',
  ws: '/',
  'ws-batched': '/',
  'socket.io': '/socket.io/?EIO=4&transport=websocket',
  'socket.io-batched': '/socket.io/?EIO=4&transport=websocket',
}
const isSocketIo = kind.startsWith('socket.io')
const NUMBER = Buffer.from('"n":')
const TIME = Buffer.from('"t":')
const END = Buffer.from(`"sym":"${END_KEY}"`)
const ROWS_EVENT = Buffer.from('42["rows"')
const PREV = Buffer.from('"prev":"')
const POSITION = Buffer.from('"position":"')
/** Positions stand at the beginning. */
const HEAD_BYTES = 400

const latenciesMs: number[] = []
const total = { deliveries: 0, gaps: 0, missing: 0, ended: 0, firstMs: Number.POSITIVE_INFINITY, lastMs: 0 }

class Client {
  readonly #socket: BareSocket
  readonly #ready: () => void
  #lastNumber = 0
  #position = ''
  readonly #isThorough: boolean

  constructor(isThorough: boolean, ready: () => void) {
    this.#isThorough = isThorough
    this.#ready = ready
    this.#socket = connected(
      () => {
        if (!isSocketIo) ready()
      },
      (payload) => this.#message(payload),
    )
  }

  end(): void {
    this.#socket.end()
  }

  #message(payload: Buffer): void {
    if (isSocketIo && !payload.subarray(0, ROWS_EVENT.length).equals(ROWS_EVENT)) {
      if (payload[0] === 0x30)
        this.#socket.send('40') // open: joins
      else if (payload[0] === 0x32)
        this.#socket.send('3') // ping
      else if (payload[1] === 0x30) this.#ready()
      return
    }
    if (kind === 'millrace') this.#chain(payload)
    this.#rows(payload)
  }

  /** An update must go on where the message before it ended. */
  #chain(payload: Buffer): void {
    const head = payload.subarray(0, HEAD_BYTES)
    const prev = textAfter(head, PREV)
    if (prev !== undefined && prev !== this.#position) total.gaps++
    this.#position = textAfter(head, POSITION) ?? this.#position
  }

  /** The first row goes on where the message before ended; some clients look at each row between, the others take the last for it. */
  #rows(payload: Buffer): void {
    const firstAt = payload.indexOf(NUMBER)
    if (firstAt < 0) return
    const lastAt = payload.lastIndexOf(NUMBER)
    const [first, last] = [numberAt(payload, firstAt + 4), numberAt(payload, lastAt + 4)]
    const isEnd = payload.includes(END, Math.max(0, lastAt - END.length - 100))
    // The last row comes again at the end, with another key.
    const isOnlyEnd = isEnd && firstAt === lastAt
    if (first !== this.#lastNumber + (isOnlyEnd ? 0 : 1)) total.missing++
    const rows = last - this.#lastNumber
    if (this.#isThorough && countOf(payload) !== rows + (isEnd ? 1 : 0)) total.missing++
    this.#lastNumber = last
    const nowMs = performance.timeOrigin + performance.now()
    latenciesMs.push(nowMs - numberAt(payload, payload.indexOf(TIME, lastAt) + 4))
    total.deliveries += rows
    total.firstMs = Math.min(total.firstMs, nowMs)
    total.lastMs = nowMs
    if (isEnd && ++total.ended === clients) void finish()
  }
}

/** Connects, and follows the view where there is one. */
function connected(onOpen: () => void, onText: (payload: Buffer) => void): BareSocket {
  const isMillrace = kind === 'millrace'
  const socket: BareSocket = new BareSocket({
    port,
    path: PATHS[kind],
    ...(isMillrace && { protocol: JSON_PROTOCOL }),
    onOpen: () => {
      if (isMillrace) socket.send('{"type":"subscribe","id":1,"view":"prices"}')
      onOpen()
    },
    onText,
  })
  return socket
}

/** One of the others. In the end all of them read, and get the last row. */
class Other {
  readonly #socket: BareSocket
  readonly ended: Promise<void>
  #isAtEnd = false

  constructor(ready: () => void) {
    let end: () => void = () => undefined
    this.ended = new Promise((resolve) => (end = resolve))
    this.#socket = connected(ready, (payload) => {
      if (payload.includes(END)) end()
      if (doOthersRead !== 'true' && !this.#isAtEnd) this.#socket.pause()
    })
  }

  async finish(): Promise<void> {
    this.#isAtEnd = true
    this.#socket.resume()
    await this.ended
    this.#socket.end()
  }
}

function countOf(payload: Buffer): number {
  let count = 0
  for (let at = payload.indexOf(NUMBER); at >= 0; at = payload.indexOf(NUMBER, at + 4)) count++
  return count
}

function numberAt(bytes: Buffer, start: number): number {
  let end = start
  while ((bytes[end]! >= 0x30 && bytes[end]! <= 0x39) || bytes[end] === 0x2e) end++
  return Number(bytes.toString('latin1', start, end))
}

function textAfter(bytes: Buffer, name: Buffer): string | undefined {
  const at = bytes.indexOf(name)
  if (at < 0) return undefined
  const start = at + name.length
  return bytes.toString('latin1', start, bytes.indexOf(0x22, start))
}

const before = process.cpuUsage()
const otherClients = await openAll(others, (ready) => new Other(ready))
let opened = 0
const all = await openAll(clients, (ready) => new Client(opened++ % THOROUGH_EVERY === 0, ready))

async function finish(): Promise<void> {
  latenciesMs.sort((a, b) => a - b)
  const share = (part: number): number =>
    latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(latenciesMs.length * part))]!
  const { user, system } = process.cpuUsage(before)
  const result: ClientsResult = {
    deliveries: total.deliveries,
    gaps: total.gaps,
    missing: total.missing,
    latencyMsP50: share(0.5),
    latencyMsP95: share(0.95),
    latencyMsP99: share(0.99),
    deliveryMs: total.lastMs - total.firstMs,
    cpuMs: (user + system) / 1_000,
  }
  await Promise.all(otherClients.map((client) => client.finish()))
  for (const client of all) client.end()
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
}
