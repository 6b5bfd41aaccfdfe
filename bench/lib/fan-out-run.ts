// One step of the push bench. Main thread.
import { programArgs, resultOf, runProgram, startChild } from './child.ts'
import type { ClientsResult, IdleResult, Kind, ServerResult } from './fan-out.ts'

export interface FanOutOptions {
  clients: number
  keys: number
  seconds: number
  /** Clients beside those that are measured, which read or have stopped to. */
  others?: { count: number; doRead: boolean }
  /** Characters that fill a row. */
  padChars?: number
}

export type FanOutStep = ClientsResult & ServerResult & { rate: number; deliveriesPerSecond: number }

/** Publishes rows at a rate to all clients; servers and clients are processes of their own. */
export async function fanOut(kind: Kind, rate: number, options: FanOutOptions): Promise<FanOutStep> {
  const { clients, keys, seconds, others = { count: 0, doRead: true }, padChars = 0 } = options
  const serverArgs = [kind, ...[clients + others.count, keys, rate, seconds, padChars].map(String)]
  const { port, result: serverResult } = await listeningServer<ServerResult>('bench/lib/fan-out-server.ts', serverArgs)
  const clientArgs = [kind, ...[port, clients, others.count, others.doRead].map(String)]
  const clientsResult = await runProgram<ClientsResult>('bench/lib/fan-out-clients.ts', clientArgs)
  const result = { ...(await serverResult), ...clientsResult }
  const lost = Math.abs(result.rows * clients - result.deliveries)
  const speed = (result.deliveries / result.deliveryMs) * 1_000
  return { ...result, missing: result.missing + lost, rate, deliveriesPerSecond: speed }
}

/** What clients cost that follow a view in which nothing happens. Each has had its snapshot. */
export async function idle(clients: number, keys: number): Promise<IdleResult> {
  const { port, result } = await listeningServer<IdleResult>('bench/lib/idle-server.ts', [clients, keys].map(String))
  const { snapshots } = await runProgram<{ snapshots: number }>(
    'bench/lib/idle-clients.ts',
    [port, clients].map(String),
  )
  if (snapshots !== clients) throw new Error(`${snapshots} of ${clients} clients had a snapshot`)
  return await result
}

async function listeningServer<T>(program: string, args: string[]): Promise<{ port: number; result: Promise<T> }> {
  let heard: (port: number) => void = () => undefined
  const listening = new Promise<number>((resolve) => (heard = resolve))
  const server = startChild(programArgs(program, args), {
    env: { RUN_TS_IS_SET_UP: '1' },
    onLine: (line) => {
      const { port } = JSON.parse(line) as { port?: number }
      if (port !== undefined) heard(port)
    },
  })
  const result = resultOf<T>('the server', server)
  const hasEnded = result.then(() => Promise.reject(new Error('the server has ended')))
  return { port: await Promise.race([listening, hasEnded]), result }
}
