// One step of the push bench. Main thread.
import { programArgs, resultOf, startChild } from './child.ts'
import type { ClientsResult, Kind, ServerResult } from './fan-out.ts'

export interface FanOutOptions {
  clients: number
  keys: number
  seconds: number
}

export type FanOutStep = ClientsResult & ServerResult & { rate: number; deliveriesPerSecond: number }

/** Publishes rows at a rate to all clients; servers and clients are processes of their own. */
export async function fanOut(kind: Kind, rate: number, { clients, keys, seconds }: FanOutOptions): Promise<FanOutStep> {
  let heard: (port: number) => void = () => undefined
  const listening = new Promise<number>((resolve) => (heard = resolve))
  const serverArgs = [kind, ...[clients, keys, rate, seconds].map(String)]
  const env = { RUN_TS_IS_SET_UP: '1' }
  const server = startChild(programArgs('bench/lib/fan-out-server.ts', serverArgs), {
    env,
    onLine: (line) => {
      const { port } = JSON.parse(line) as { port?: number }
      if (port !== undefined) heard(port)
    },
  })
  const serverResult = resultOf<ServerResult>('the server', server)
  const port = await Promise.race([
    listening,
    serverResult.then(() => Promise.reject(new Error('the server has ended'))),
  ])
  const clientArgs = [kind, String(port), String(clients)]
  const clientsChild = startChild(programArgs('bench/lib/fan-out-clients.ts', clientArgs), { env })
  const clientsResult = await resultOf<ClientsResult>('the clients', clientsChild)
  const result = { ...(await serverResult), ...clientsResult }
  const lost = Math.abs(result.rows * clients - result.deliveries)
  const speed = (result.deliveries / result.deliveryMs) * 1_000
  return { ...result, missing: result.missing + lost, rate, deliveriesPerSecond: speed }
}
