// One connection to a server, as the client uses it: a WebSocket or streams of events. Runs in browsers and in Node.

import type { ServerMessage, Subscribe } from '../protocol/messages.ts'

export type Transport = 'websocket' | 'sse'

/** It is dead: no close said why. */
export const LOST_CODE = 1006

export interface Link {
  subscribe(message: Subscribe): void
  unsubscribe(id: number): void
  /** Nothing is told afterwards. Idempotent. */
  close(): void
}

export interface LinkEvents {
  /** Subscriptions may be said. */
  onReady(): void
  onMessage(message: ServerMessage): void
  /** Told once, by itself never after `close`. */
  onClose(code: number): void
}

export interface LinkOptions {
  /** Of the server, without a slash at its end. */
  url: string
  token: string | undefined
  /** A connection that says nothing for so long is dead. */
  silenceMsMax: number
}

/** Calls `onSilent` once, when it has not been touched for so long. */
export class Silence {
  readonly #silenceMsMax: number
  readonly #onSilent: () => void
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(silenceMsMax: number, onSilent: () => void) {
    this.#silenceMsMax = silenceMsMax
    this.#onSilent = onSilent
    this.touch()
  }
  touch(): void {
    this.stop()
    this.#timer = setTimeout(this.#onSilent, this.#silenceMsMax)
  }
  stop(): void {
    clearTimeout(this.#timer)
  }
}
