// The clients of the push bench, in a process of its own: bare sockets that read frames, count the rows in them and look whether one is
// missing. Decoding every row would measure JSON.parse. Arguments: kind, port, clients.
import { connect } from 'node:net'
import { JSON_PROTOCOL } from '../../src/protocol/messages.ts'
import { frameOf } from '../../test/harness/raw-web-socket.ts'
import { type ClientsResult, END_KEY, type Kind } from './fan-out.ts'

const [kind, portText, clientsText] = process.argv.slice(2) as [Kind, string, string]
const [port, clients] = [Number(portText), Number(clientsText)]
/** Connections that are being opened at a time. */
const OPENING_MAX = 100
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

const all: Client[] = []

class Client {
  readonly #socket = connect({ port, host: '127.0.0.1', noDelay: true })
  #received: Buffer = Buffer.alloc(0)
  #isUpgraded = false
  #lastNumber = 0
  #position = ''
  readonly #isThorough = all.length % THOROUGH_EVERY === 0
  onReady: () => void = () => undefined

  constructor() {
    const protocol = kind === 'millrace' ? `sec-websocket-protocol: ${JSON_PROTOCOL}\r\n` : ''
    const head =
      'upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n'
    this.#socket.write(`GET ${PATHS[kind]} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${head}${protocol}\r\n`)
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk))
    this.#socket.on('error', (error) => {
      throw error
    })
  }

  end(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    let bytes = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    if (!this.#isUpgraded) {
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) {
        this.#received = bytes
        return
      }
      bytes = bytes.subarray(end + 4)
      this.#isUpgraded = true
      this.#opened()
    }
    for (;;) {
      const frame = frameOf(bytes)
      if (frame === undefined) break
      bytes = bytes.subarray(frame.end)
      if (frame.opcode === 9) this.#send(10, frame.payload)
      else if (frame.opcode === 1) this.#message(frame.payload)
    }
    this.#received = bytes
  }

  #opened(): void {
    if (kind === 'millrace') this.#send(1, Buffer.from('{"type":"subscribe","id":1,"view":"prices"}'))
    if (!isSocketIo) this.onReady()
  }

  #message(payload: Buffer): void {
    if (isSocketIo && !payload.subarray(0, ROWS_EVENT.length).equals(ROWS_EVENT)) {
      if (payload[0] === 0x30)
        this.#send(1, Buffer.from('40')) // open: joins
      else if (payload[0] === 0x32)
        this.#send(1, Buffer.from('3')) // ping
      else if (payload[1] === 0x30) this.onReady()
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
    if (isEnd && ++total.ended === clients) finish()
  }

  #send(opcode: number, payload: Buffer): void {
    // A mask of zeros: the payload as it is.
    const head = Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0])
    this.#socket.write(Buffer.concat([head, payload]))
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
await new Promise<void>((resolve) => {
  let ready = 0
  const more = (): void => {
    if (all.length === clients) return
    const client = new Client()
    client.onReady = () => {
      if (++ready === clients) resolve()
      more()
    }
    all.push(client)
  }
  for (let i = 0; i < Math.min(OPENING_MAX, clients); i++) more()
})

function finish(): void {
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
  for (const client of all) client.end()
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
}
