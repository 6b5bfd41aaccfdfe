// A push server over memory-kafka with sockets of its own, and clients that keep what they were sent.
import { type AddressInfo, createServer } from 'node:net'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { createLog } from '../../src/ops/log.ts'
import { parseServerMessage, type ServerMessage } from '../../src/protocol/messages.ts'
import { type PushOptions, type PushServer, startPush } from '../../src/push/server.ts'
import { RawWebSocket } from '../harness/raw-web-socket.ts'

export const TOPIC = 'job-view-candles'
const WAIT_MS_MAX = 10_000

export interface Rig {
  kafka: MemoryKafka
  push: PushServer
  /** `ws://host:port`. */
  wsUrl: string
  logged: string[]
  put(key: string, row: unknown): void
}

export async function startRig(options: Partial<PushOptions> = {}, partitionCount = 2): Promise<Rig> {
  const kafka = createMemoryKafka({ topics: { [TOPIC]: partitionCount } })
  const logged: string[] = []
  const log = createLog({ level: 'info', format: 'json', isTerminal: false, write: (line) => logged.push(line) })
  const views = [{ name: 'candles', topic: TOPIC }]
  const push = await startPush({ kafka, views, port: 0, log, ...options })
  const put = (key: string, row: unknown): void => {
    kafka.append(TOPIC, { key, value: row === undefined ? undefined : JSON.stringify(row) })
  }
  return { kafka, push, wsUrl: `ws://127.0.0.1:${push.port}`, logged, put }
}

/** A port that is free now. A port that the system chose (0) cannot be taken again at once, one that was asked for can. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** A WebSocket that keeps its messages. */
export class Watcher {
  readonly socket: RawWebSocket
  readonly messages: ServerMessage[] = []
  closeCode: number | undefined
  #wake: () => void = () => undefined

  constructor(url: string, headers: Record<string, string> = {}) {
    this.socket = new RawWebSocket(url, headers)
    this.socket.onmessage = ({ data }) => {
      const message = parseServerMessage(data as string)
      if (message === undefined) throw new Error(`not a message of the protocol: ${data as string}`)
      this.messages.push(message)
      this.#wake()
    }
    this.socket.onclose = ({ code }) => {
      this.closeCode = code
      this.#wake()
    }
  }
  /** Rows in the order of their arrival. */
  get rows() {
    return this.messages.flatMap((message) => ('rows' in message ? message.rows : []))
  }
  /** The latest row of a key. */
  latest(key: string): unknown {
    return this.rows.findLast((row) => row.key === key)?.row
  }
  /** Resolves when a message or the close has made the condition true. */
  async until(isMet: () => boolean): Promise<void> {
    const endMs = performance.now() + WAIT_MS_MAX
    while (!isMet()) {
      const leftMs = endMs - performance.now()
      if (leftMs <= 0) throw new Error(`not met after ${WAIT_MS_MAX} ms: ${isMet.toString()}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
  untilClosed(): Promise<void> {
    return this.until(() => this.closeCode !== undefined)
  }
  get isLoaded(): boolean {
    return this.messages.some((message) => message.type === 'snapshot' && message.isLast)
  }
}

/** Looks again and again, for conditions that nothing announces. */
export async function eventually(isMet: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + WAIT_MS_MAX
  while (!(await isMet())) {
    if (performance.now() > endMs) throw new Error(`not met after ${WAIT_MS_MAX} ms: ${isMet.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
