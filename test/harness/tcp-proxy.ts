// A TCP proxy that can become a black hole: connections stay and are accepted, but no byte goes through any more.
// Runs in the test runner's process.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** From now on nothing is forwarded, in either direction; nobody is told. */
  swallow(): void
  /** Forwards again, what was held back first. */
  forward(): void
  close(): Promise<void>
}

/**
 * Starts a proxy on a free port; `targetPort` is set once its target is there.
 *
 * @example
 * const proxy = await startTcpProxy(() => broker.port)
 * proxy.swallow()
 */
export async function startTcpProxy(targetPort: () => number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let isSwallowing = false
  const server = createServer((client) => {
    const target = connect(targetPort(), '127.0.0.1')
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(from)
      // A socket that nobody reads fills up: the peer sees silence, as from a machine that lost its network.
      from.on('data', (bytes) => void to.write(bytes))
      from.on('error', () => to.destroy()) // one side of a connection under test may be killed at any time
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      if (isSwallowing) from.pause()
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    swallow() {
      isSwallowing = true
      for (const socket of sockets) socket.pause()
    },
    forward() {
      isSwallowing = false
      for (const socket of sockets) socket.resume()
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
