// A WebSocket client over a bare TCP socket: Node 20 has none, and a test of slow clients must be able to stop reading. Messages in
// binary come as Uint8Array.
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { WebSocketLike } from '../../src/client/web-socket-link.ts'

export class RawWebSocket implements WebSocketLike {
  onopen: ((event: unknown) => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  onerror: ((event: unknown) => void) | null = null
  readonly socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #isUpgraded = false
  #closeCode: number | undefined

  constructor(url: string, headers: Record<string, string> = {}) {
    const { hostname, port, host, pathname, search } = new URL(url)
    this.socket = connect(Number(port), hostname)
    const lines = {
      host,
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      'sec-websocket-version': '13',
      ...headers,
    }
    const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`)
    this.socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${head.join('')}\r\n`)
    this.socket.on('data', (chunk) => this.#take(chunk))
    this.socket.on('error', (error) => this.onerror?.(error))
    this.socket.on('close', () => this.onclose?.({ code: this.#closeCode ?? 1006 }))
  }

  send(message: string | Uint8Array): void {
    if (typeof message === 'string') this.#frame(1, Buffer.from(message))
    else this.#frame(2, Buffer.from(message))
  }
  close(): void {
    this.socket.destroy()
  }
  /** Reads no more: the kernel's buffers fill, then the server's. */
  pause(): void {
    this.socket.pause()
  }
  resume(): void {
    this.socket.resume()
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    if (!this.#isUpgraded && !this.#upgrade()) return
    while (this.#nextFrame()) {}
  }

  #upgrade(): boolean {
    const end = this.#received.indexOf('\r\n\r\n')
    if (end < 0) return false
    const status = this.#received.subarray(0, 12).toString()
    if (status !== 'HTTP/1.1 101') {
      this.socket.destroy(new Error(`no upgrade: ${status}`))
      return false
    }
    this.#received = this.#received.subarray(end + 4)
    this.#isUpgraded = true
    this.onopen?.({})
    return true
  }

  #nextFrame(): boolean {
    const frame = frameOf(this.#received)
    if (frame === undefined) return false
    this.#received = this.#received.subarray(frame.end)
    this.#opcode(frame.opcode, frame.payload)
    return true
  }

  #opcode(opcode: number, payload: Buffer): void {
    if (opcode === 1) this.onmessage?.({ data: payload.toString() })
    else if (opcode === 2) this.onmessage?.({ data: Uint8Array.from(payload) })
    else if (opcode === 9) this.#frame(10, payload)
    else if (opcode === 8) {
      this.#closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005
      this.socket.end()
    }
  }

  #frame(opcode: number, payload: Buffer): void {
    const mask = randomBytes(4)
    const masked = payload.map((byte, i) => byte ^ mask[i % 4]!)
    const long = payload.length > 125
    const head = Buffer.alloc(long ? 4 : 2)
    head[0] = 0x80 | opcode
    head[1] = 0x80 | (long ? 126 : payload.length)
    if (long) head.writeUInt16BE(payload.length, 2)
    this.socket.write(Buffer.concat([head, mask, masked]))
  }
}

/** The first frame of what was received; undefined: it is not whole yet. Frames from a server are not masked, and come without fragments. */
export function frameOf(bytes: Buffer): { opcode: number; payload: Buffer; end: number } | undefined {
  if (bytes.length < 2) return undefined
  const short = bytes[1]! & 127
  const head = short === 126 ? 4 : short === 127 ? 10 : 2
  if (bytes.length < head) return undefined
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
  const end = head + length
  return bytes.length < end ? undefined : { opcode: bytes[0]! & 15, payload: bytes.subarray(head, end), end }
}
