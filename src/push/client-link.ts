// The two kinds of connections behind one face: a WebSocket and an SSE stream. Main thread.
// Keeps SPEC: PUSH-2 (a full socket is left alone until it is read, nothing is skipped).

import type { MillraceError } from '../core/errors.ts'
import { CLOSE_CODES, errorJson, pingJson } from '../protocol/messages.ts'
import type { HttpReply } from './http-reply.ts'
import type { Outlet } from './subscription.ts'
import type { UwsSocket } from './uws.ts'

export interface Link extends Outlet {
  /** Bytes that wait to be read, as far as is known. */
  waitingBytes(): number
  ping(timeMs: number): void
  /** Tells why and closes. Nothing may be sent afterwards. */
  end(closeCode: number, error: MillraceError | undefined): void
  /** Drops the connection at once, with what waits in it. */
  destroy(): void
}

export class WebSocketLink<Data> implements Link {
  readonly #socket: UwsSocket<Data>
  readonly #bytesMax: number
  /** After its close any call on the socket throws. */
  isClosed = false
  /** A message could not be taken: the chain is broken, the connection must end. */
  isBroken = false

  constructor(socket: UwsSocket<Data>, bytesMax: number) {
    this.#socket = socket
    this.#bytesMax = bytesMax
  }
  isOpen(): boolean {
    return !this.isClosed && !this.isBroken && this.waitingBytes() < this.#bytesMax
  }
  waitingBytes(): number {
    return this.isClosed ? 0 : this.#socket.getBufferedAmount()
  }
  send(message: string): void {
    if (!this.isClosed && this.#socket.send(message) === 2) this.isBroken = true
  }
  ping(timeMs: number): void {
    if (this.isOpen()) this.send(pingJson(timeMs))
  }
  end(closeCode: number, error: MillraceError | undefined): void {
    if (this.isClosed) return
    if (error !== undefined) this.#socket.send(errorJson(error.code, error.message, canRetry(closeCode)))
    this.#socket.end(closeCode, error?.code ?? '')
  }
  destroy(): void {
    if (!this.isClosed) this.#socket.close()
  }
}

export class EventStreamLink implements Link {
  readonly #reply: HttpReply
  /** The last write filled the buffer. */
  isFull = false
  readonly isBroken = false
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
  send(message: string): void {
    this.#write(`data: ${message}\n\n`)
  }
  ping(timeMs: number): void {
    if (this.isOpen()) this.send(pingJson(timeMs))
  }
  end(closeCode: number, error: MillraceError | undefined): void {
    if (error !== undefined && this.isOpen()) this.send(errorJson(error.code, error.message, canRetry(closeCode)))
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
  #write(chunk: string): void {
    if (this.#reply.write(chunk)) return
    this.isFull = true
    this.#waitingBytes = chunk.length
  }
}

function canRetry(closeCode: number): boolean {
  return closeCode === CLOSE_CODES.goingAway || closeCode === CLOSE_CODES.slow || closeCode === CLOSE_CODES.full
}
