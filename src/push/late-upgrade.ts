// Where WebSockets are upgraded that had to wait for the check of their token. uWebSockets before its #1929 (July 2026) may close a
// WebSocket that is upgraded outside of its handler in the cork of its own response: it reads the state of the response from memory that is
// the WebSocket's by then. Without any cork it is right, but warns on stderr each time. So it is done in the cork of another response: one
// that is never answered, of a connection of this process to itself. Main thread.
// Keeps SPEC: PUSH-7 (no client ends the process).

import { randomUUID } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { Scheduler } from '../core/clock.ts'
import type { ListenSocket, Uws, UwsApp, UwsResponse } from './uws.ts'

/** The connection to itself is there within this time, or it is done without. */
const OPEN_MS_MAX = 2_000
const LOOPBACK = '127.0.0.1'

export class LateUpgrade {
  #app: UwsApp | undefined
  #socket: Socket | undefined
  /** Undefined: there is none (any more). */
  #held: UwsResponse | undefined

  /** Resolves when it is ready; rejects when it cannot be: then `run` does without. */
  async open(uws: Uws, scheduler: Scheduler): Promise<void> {
    const path = `/${randomUUID()}`
    const app = uws.App()
    this.#app = app
    let cancel = (): void => {}
    let listening: ListenSocket | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        cancel = scheduler.after(OPEN_MS_MAX, () => reject(new Error(`nothing within ${OPEN_MS_MAX} ms`)))
        app.get(path, (res) => {
          res.onAborted(() => {
            this.#held = undefined
          })
          this.#held = res
          resolve()
        })
        app.listen(LOOPBACK, 0, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
          if (!socket) {
            reject(new Error('no port is free'))
            return
          }
          listening = socket
          this.#socket = connect(uws.us_socket_local_port(socket), LOOPBACK)
          this.#socket.on('error', reject)
          this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: ${LOOPBACK}\r\n\r\n`)
        })
      })
    } finally {
      cancel()
      if (listening !== undefined) uws.us_listen_socket_close(listening)
    }
  }

  run(upgrade: () => void): void {
    if (this.#held === undefined) upgrade()
    else this.#held.cork(upgrade)
  }

  close(): void {
    this.#held = undefined
    this.#socket?.destroy()
    this.#app?.close()
  }
}
