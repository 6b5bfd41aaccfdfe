// A WebSocket of a bench's client: a bare socket that reads frames and leaves them as bytes. Main thread.
import { connect, type Socket } from 'node:net'
import { frameOf } from '../../test/harness/raw-web-socket.ts'

const TEXT = 1
const PING = 9
const PONG = 10
/** Lengths of 126 on are written otherwise. */
const SEND_BYTES_MAX = 125
/** Connections that are being opened at a time. */
const OPENING_MAX = 100

export interface BareSocketOptions {
  port: number
  path: string
  protocol?: string
  onOpen(): void
  /** Of a text message; the bytes are valid until it returns. */
  onText(payload: Buffer): void
}

export class BareSocket {
  readonly #options: BareSocketOptions
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #isOpen = false

  constructor(options: BareSocketOptions) {
    this.#options = options
    const { port, path, protocol } = options
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const head =
      'upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n'
    const offered = protocol === undefined ? '' : `sec-websocket-protocol: ${protocol}\r\n`
    this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${head}${offered}\r\n`)
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk))
    this.#socket.on('error', (error) => {
      throw error
    })
  }

  send(text: string): void {
    this.#write(TEXT, Buffer.from(text))
  }
  /** Reads no more, until `resume`. */
  pause(): void {
    this.#socket.pause()
  }
  resume(): void {
    this.#socket.resume()
  }
  end(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    let bytes = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    if (!this.#isOpen) {
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) {
        this.#received = bytes
        return
      }
      bytes = bytes.subarray(end + 4)
      this.#isOpen = true
      this.#options.onOpen()
    }
    for (;;) {
      const frame = frameOf(bytes)
      if (frame === undefined) break
      bytes = bytes.subarray(frame.end)
      if (frame.opcode === PING) this.#write(PONG, frame.payload)
      else if (frame.opcode === TEXT) this.#options.onText(frame.payload)
    }
    this.#received = bytes
  }

  #write(opcode: number, payload: Buffer): void {
    if (payload.length > SEND_BYTES_MAX) throw new RangeError(`a message of ${payload.length} bytes`)
    // A mask of zeros: the payload as it is.
    const head = Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0])
    this.#socket.write(Buffer.concat([head, payload]))
  }
}

/** Opens clients, so many at a time, until all are ready. `open` calls what it gets once its client is. */
export async function openAll<C>(count: number, open: (ready: () => void) => C): Promise<C[]> {
  const all: C[] = []
  if (count === 0) return all
  await new Promise<void>((resolve) => {
    let ready = 0
    const more = (): void => {
      if (all.length === count) return
      all.push(
        open(() => {
          if (++ready === count) resolve()
          more()
        }),
      )
    }
    for (let i = 0; i < Math.min(OPENING_MAX, count); i++) more()
  })
  return all
}
