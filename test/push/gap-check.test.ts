// Clients over servers that are killed and connections that are cut, under load: no gap, no repeat out of order, and in the end the
// rows of the view. Holds SPEC: PUSH-1, PUSH-4, PUSH-12.
import { afterEach, expect, test } from 'vitest'
import { type Client, createClient } from '../../src/client/client.ts'
import type { Subscription } from '../../src/client/subscription.ts'
import type { ChangedRow, ViewSelection } from '../../src/client/view.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { createLog } from '../../src/ops/log.ts'
import type { Selection } from '../../src/protocol/messages.ts'
import { lensOf } from '../../src/push/selection.ts'
import { type PushServer, startPush } from '../../src/push/server.ts'
import { seeded } from '../../src/testing/seeded.ts'
import { RawWebSocket } from '../harness/raw-web-socket.ts'
import { eventually, freePort, TOPIC } from './push-fixture.ts'

const closers: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const SERVERS = 2
const ROUNDS = 30
const KEYS = 50

type Row = Record<string, unknown>

/** What a client was told, checked as it comes. */
class Checked {
  readonly client: Client<Record<string, Row>>
  readonly view: Subscription<Row>
  readonly selection: Selection
  readonly wrongs: string[] = []
  snapshots = 0
  socket: RawWebSocket | undefined
  readonly #offsets = new Map<string, number>()

  constructor(selection: Selection, urlOf: () => string) {
    this.selection = selection
    const opened = (socket: RawWebSocket): void => {
      this.socket = socket
    }
    class ChosenAnew extends RawWebSocket {
      constructor(_url: string, protocols: string[]) {
        super(urlOf(), { 'sec-websocket-protocol': protocols.join(', ') })
        opened(this)
      }
    }
    this.client = createClient({ url: 'http://chosen.anew', WebSocket: ChosenAnew, transport: 'websocket', retryMs: 5 })
    this.view = this.client.view('candles').subscribe(selection as ViewSelection<Row>, {
      onSnapshot: (rows) => this.#take(rows, true),
      onUpdate: (rows) => this.#take(rows, false),
      onError: ({ code }) => this.wrongs.push(code),
    })
  }

  #take(rows: readonly ChangedRow<Row>[], isSnapshot: boolean): void {
    if (isSnapshot) this.snapshots++
    for (const { key, offset } of rows) {
      const known = this.#offsets.get(key) ?? -1
      if (offset < known) this.wrongs.push(`${key} went back from ${known} to ${offset}`)
      this.#offsets.set(key, offset)
    }
  }
}

test('servers are killed and connections cut, and no client sees a gap, a row that goes back, or in the end a wrong row', async () => {
  const kafka = createMemoryKafka({
    topics: { [TOPIC]: { partitionCount: 3, config: { 'delete.retention.ms': '86400000' } } },
  })
  const log = createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} })
  const random = seeded(7)
  const ports = await Promise.all(Array.from({ length: SERVERS }, freePort))
  const start = (port: number): Promise<PushServer> =>
    startPush({ kafka, views: [{ name: 'candles', topic: TOPIC }], port, log, limits: { messageCharsMax: 2_000 } })
  const servers = await Promise.all(ports.map(start))
  closers.push(async () => {
    for (const server of servers) await server.close()
  })
  const present = new Map<string, { x: number }>()
  let x = 0
  const put = (): void => {
    const key = `k${Math.floor(random() * KEYS)}`
    const row = random() < 0.2 ? undefined : { x: ++x }
    kafka.append(TOPIC, { key, value: row === undefined ? undefined : JSON.stringify(row) })
    if (row === undefined) present.delete(key)
    else present.set(key, row)
  }
  const selections: Selection[] = [
    {},
    {},
    { key: 'k7' },
    { keys: ['k1', 'k2', 'k3'] },
    { prefix: 'k1' },
    { where: { x: { gt: 500 } } },
  ]
  const clients = selections.map((selection) => {
    const urlOf = (): string => `ws://127.0.0.1:${ports[Math.floor(random() * SERVERS)]!}/live`
    return new Checked(selection, urlOf)
  })
  closers.push(() => {
    for (const { client } of clients) client.close()
  })
  const areLive = (): Promise<void> => eventually(() => clients.every(({ view }) => view.state === 'live'))
  await areLive()
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < 40; i++) put()
    const what = random()
    if (what < 0.4) {
      const at = Math.floor(random() * SERVERS)
      await servers[at]!.close()
      for (let i = 0; i < 40; i++) put()
      servers[at] = await start(ports[at]!)
    } else for (const { socket } of clients) if (random() < 0.7) socket?.socket.destroy()
    for (let i = 0; i < 40; i++) put()
    await areLive()
  }
  for (const { view, selection, wrongs, snapshots } of clients) {
    const lens = lensOf(selection)
    const expected = [...present].filter(
      ([key, row]) => lens.hasKey(key) && lens.accepts({ key, json: JSON.stringify(row) } as never),
    )
    const text = JSON.stringify(expected.sort())
    await eventually(() => JSON.stringify([...view.rows].map(([key, { row }]) => [key, row]).sort()) === text)
    expect({ wrongs, gaps: view.gapCount, snapshots }).toEqual({ wrongs: [], gaps: 0, snapshots: 1 })
  }
})
