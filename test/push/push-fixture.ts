// A push server over memory-kafka with sockets of its own, and clients that keep what they were sent.
import { type AddressInfo, createServer } from 'node:net'
import { pack, unpack } from 'msgpackr'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { createLog } from '../../src/ops/log.ts'
import { Registry } from '../../src/ops/metrics.ts'
import { MSGPACK_PROTOCOL, readServerMessage, type ServerMessage, type Subscribe } from '../../src/protocol/messages.ts'
import { type PushOptions, type PushServer, startPush } from '../../src/push/server.ts'
import { RawWebSocket } from '../harness/raw-web-socket.ts'

export const TOPIC = 'job-view-candles'
const WAIT_MS_MAX = 10_000

export interface Rig {
  kafka: MemoryKafka
  push: PushServer
  metrics: Registry
  /** `ws://host:port`. */
  wsUrl: string
  logged: string[]
  put(key: string, row: unknown): void
}

export async function startRig(
  options: Partial<PushOptions> = {},
  partitionCount = 2,
  memory?: MemoryKafka,
): Promise<Rig> {
  const kafka = memory ?? createMemoryKafka({ topics: { [TOPIC]: partitionCount } })
  const logged: string[] = []
  const log = createLog({ level: 'info', format: 'json', isTerminal: false, write: (line) => logged.push(line) })
  const views = [{ name: 'candles', topic: TOPIC }]
  const metrics = options.metrics ?? new Registry({ nowMs: () => 0 })
  const push = await startPush({ kafka, views, port: 0, log, ...options, metrics })
  const put = (key: string, row: unknown): void => {
    kafka.append(TOPIC, { key, value: row === undefined ? undefined : JSON.stringify(row) })
  }
  return { kafka, push, metrics, wsUrl: `ws://127.0.0.1:${push.port}`, logged, put }
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

/** A WebSocket that keeps its messages. It subscribes to `view` when it is open, unless that is undefined. */
export class Watcher {
  readonly socket: RawWebSocket
  readonly messages: ServerMessage[] = []
  /** Messages as they came. */
  readonly raw: (string | Uint8Array)[] = []
  isOpen = false
  closeCode: number | undefined
  readonly #isBinary: boolean
  #wake: () => void = () => undefined

  constructor(
    url: string,
    view: string | undefined,
    more: Partial<Subscribe> = {},
    headers: Record<string, string> = {},
  ) {
    this.#isBinary = headers['sec-websocket-protocol'] === MSGPACK_PROTOCOL
    this.socket = new RawWebSocket(`${url}/live`, headers)
    this.socket.onopen = () => {
      this.isOpen = true
      if (view !== undefined) this.say({ type: 'subscribe', id: 1, view, ...more })
    }
    this.socket.onmessage = ({ data }) => {
      this.raw.push(data as string | Uint8Array)
      const message = readServerMessage(this.#isBinary ? unpack(data as Uint8Array) : JSON.parse(data as string))
      if (message === undefined) throw new Error(`not a message of the protocol: ${data as string}`)
      this.messages.push(message)
      this.#wake()
    }
    this.socket.onclose = ({ code }) => {
      this.closeCode = code
      this.#wake()
    }
  }
  say(message: object): void {
    this.socket.send(this.#isBinary ? pack(message) : JSON.stringify(message))
  }
  /** Rows in the order of their arrival. */
  get rows() {
    return this.messages.flatMap((message) => ('rows' in message ? message.rows : []))
  }
  /** The latest row of a key. */
  latest(key: string): unknown {
    return this.rows.findLast((row) => row.key === key)?.row
  }
  /** The last position that it was told. */
  get position(): string {
    const last = this.messages.findLast((message) => 'position' in message)
    if (last === undefined || !('position' in last)) throw new Error('no position yet')
    return last.position
  }
  /** Resolves when a message or the close has made the condition true. */
  async until(isMet: () => boolean, limitMs = WAIT_MS_MAX): Promise<void> {
    const endMs = performance.now() + limitMs
    while (!isMet()) {
      const leftMs = endMs - performance.now()
      if (leftMs <= 0) throw new Error(`not met after ${limitMs} ms: ${isMet.toString()}`)
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

/**
 * Checks what a subscription was told: each update goes on where the message before it ended, a snapshot's parts are whole, the rows of
 * a key never go back. Gives the rows that a client holds in the end.
 */
export function heldRows(messages: readonly ServerMessage[], id = 1): Map<string, unknown> {
  let held = new Map<string, unknown>()
  let position: string | undefined
  let isInSnapshot = false
  const offsets = new Map<string, number>()
  for (const message of messages) {
    if (!('id' in message) || message.id !== id) continue
    if (message.type === 'snapshot') {
      if (message.isFirst === isInSnapshot) throw new Error('a part of a snapshot is missing')
      if (message.isFirst) {
        held = new Map()
        offsets.clear()
      }
      isInSnapshot = !message.isLast
      position = message.position
    } else if (message.type === 'update') {
      if (position !== undefined && message.prev !== position)
        throw new Error(`a gap before ${JSON.stringify(message)}`)
      position = message.position
    } else continue
    for (const { key, row, offset } of message.rows) {
      if (offset < (offsets.get(key) ?? -1)) throw new Error(`${key} goes back to ${offset}`)
      offsets.set(key, offset)
      if (row === null) held.delete(key)
      else held.set(key, row)
    }
  }
  return held
}

/** Looks again and again, for conditions that nothing announces. */
export async function eventually(isMet: () => boolean | Promise<boolean>, limitMs = WAIT_MS_MAX): Promise<void> {
  const endMs = performance.now() + limitMs
  while (!(await isMet())) {
    if (performance.now() > endMs) throw new Error(`not met after ${limitMs} ms: ${isMet.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
