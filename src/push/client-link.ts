// The two kinds of connections behind one face: a WebSocket and an SSE stream. Main thread.
// Keeps SPEC: PUSH-2 (a full socket is left alone until it is read, nothing is skipped).

import type { MillraceError } from '../core/errors.ts'
import { canRetry, type ServerMessage } from '../protocol/messages.ts'
import type { HttpReply } from './http-reply.ts'
import type { Outlet } from './subscription.ts'
import type { UwsSocket } from './uws.ts'
import { type Encoded, jsonCodec, type WireCodec } from './wire-codec.ts'

const EVENT_END = Buffer.from('\n\n')

export interface Link extends Outlet {
  /** A message could not be taken: the chain is broken, the connection must end. */
  readonly isBroken: boolean
  /** It has one subscription, and ends with it. */
  readonly isSingle: boolean
  /** Bytes that wait to be read, as far as is known. */
  waitingBytes(): number
  ping(timeMs: number): void
  /** Tells why and closes. Nothing may be sent afterwards. */
  end(closeCode: number, error: MillraceError | undefined): void
  /** Drops the connection at once, with what waits in it. */
  destroy(): void
}

export class WebSocketLink<Data> implements Link {
  readonly codec: WireCodec
  readonly #socket: UwsSocket<Data>
  readonly #bytesMax: number
  /** After its close any call on the socket throws. */
  isClosed = false
  isBroken = false
  readonly isSingle = false

  constructor(socket: UwsSocket<Data>, codec: WireCodec, bytesMax: number) {
    this.#socket = socket
    this.codec = codec
    this.#bytesMax = bytesMax
  }
  isOpen(): boolean {
    return !this.isClosed && !this.isBroken && this.waitingBytes() < this.#bytesMax
  }
  waitingBytes(): number {
    return this.isClosed ? 0 : this.#socket.getBufferedAmount()
  }
  send(message: Encoded): void {
    if (!this.isClosed && this.#socket.send(message, this.codec.isBinary) === 2) this.isBroken = true
  }
  ping(timeMs: number): void {
    if (this.isOpen()) this.send(this.codec.message({ type: 'ping', timeMs }))
  }
  end(closeCode: number, error: MillraceError | undefined): void {
    if (this.isClosed) return
    if (error !== undefined) {
      this.#socket.send(this.codec.message(errorMessage(error, closeCode)), this.codec.isBinary)
    }
    this.#socket.end(closeCode, error?.code ?? '')
  }
  destroy(): void {
    if (!this.isClosed) this.#socket.close()
  }
}

export class EventStreamLink implements Link {
  readonly codec = jsonCodec
  readonly #reply: HttpReply
  /** The last write filled the buffer. */
  isFull = false
  readonly isBroken = false
  readonly isSingle = true
  #waitingBytes = 0

  constructor(reply: HttpReply) {
    this.#reply = reply
  }
  isOpen(): boolean {
    return !this.#reply.isDone && !this.isFull
  }
  waitingBytes(): number {
    return this.#waitingBytes
  }
  /** The position is the id of the event: a browser tells the last one when it connects again. */
  send(message: Encoded, position?: string): void {
    const head = `${position === undefined ? '' : `id: ${position}\n`}data: `
    if (typeof message === 'string') this.#write(`${head}${message}\n\n`)
    else this.#write(Buffer.concat([Buffer.from(head), message, EVENT_END]))
  }
  ping(timeMs: number): void {
    if (this.isOpen()) this.send(this.codec.message({ type: 'ping', timeMs }))
  }
  end(closeCode: number, error: MillraceError | undefined): void {
    if (error !== undefined && this.isOpen()) this.send(this.codec.message(errorMessage(error, closeCode)))
    if (this.isFull) this.#reply.destroy()
    else this.#reply.end()
  }
  destroy(): void {
    this.#reply.destroy()
  }
  becameWritable(): void {
    this.isFull = false
    this.#waitingBytes = 0
  }
  #write(chunk: Encoded): void {
    if (this.#reply.write(chunk)) return
    this.isFull = true
    this.#waitingBytes = chunk.length
  }
}

function errorMessage({ code, message }: MillraceError, closeCode: number): ServerMessage {
  return { type: 'error', code, message, canRetry: canRetry(closeCode) }
}
