// What the kernel takes for a client that stops to read, over real sockets, and the addon that limits it. Holds SPEC: PUSH-46.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import { createLog } from '../../src/ops/log.ts'
import type { ServerMessage } from '../../src/protocol/messages.ts'
import { DEFAULT_PUSH_LIMITS } from '../../src/push/limits.ts'
import { limitUnsent, loadPushAddon, type PushAddon } from '../../src/push/unsent-limit.ts'
import { eventually, freePort, heldRows, type Rig, startRig, Watcher } from './push-fixture.ts'
import { EventStream } from './requests.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const { clientBytesMax, unsentBytesMax, messageCharsMax } = DEFAULT_PUSH_LIMITS
const ROUNDS = 300
const KEYS = ['A', 'B']
const pad = 'x'.repeat(30_000)

interface Client {
  socket: Socket
  messages: readonly ServerMessage[]
}

function webSocket(rig: Rig): Client & { watcher: Watcher } {
  const watcher = new Watcher(rig.wsUrl, 'candles')
  closers.push(() => watcher.socket.close())
  return { socket: watcher.socket.socket, messages: watcher.messages, watcher }
}

async function events(rig: Rig): Promise<Client> {
  const stream = new EventStream(rig.push.port, '/events/candles')
  closers.push(() => stream.close())
  await eventually(() => stream.status === 200)
  return stream
}

const isLoaded = ({ messages }: Client) => messages.some((message) => message.type === 'snapshot' && message.isLast)

/** Whether the newest rows of all keys are there. */
function hasRound(round: number, { messages }: Client): boolean {
  const last = messages.flatMap((message) => ('rows' in message ? message.rows : [])).slice(-KEYS.length)
  return last.length === KEYS.length && last.every(({ row }) => (row as { round: number }).round === round)
}

/** The round of each key's row, of a chain that has no gap. */
function heldRounds({ messages }: Client): Record<string, number> {
  const id = messages.find((message) => message.type === 'snapshot')!.id
  const rows = [...heldRows(messages, id)] as [string, { round: number }][]
  return Object.fromEntries(rows.map(([key, { round }]) => [key, round]))
}

describe('a client that stops to read', () => {
  // What the client's own system takes for it (some hundred kB here) is beyond the server's reach.
  const receivedMax = 1 << 20
  test.each<[string, (rig: Rig) => Client | Promise<Client>, number]>([
    ['a WebSocket', webSocket, clientBytesMax + unsentBytesMax + receivedMax],
    ['a stream of events', events, messageCharsMax + unsentBytesMax + receivedMax],
  ])('and reads on finds little that is old before the newest row, as %s', async (_, open, bytesMax) => {
    // Without the limit, a slow machine might end it before it reads on.
    const rig = await startRig({ limits: { slowClientMsMax: 600_000 } })
    closers.push(() => rig.push.close())
    for (const key of KEYS) rig.put(key, { round: 0 })
    await eventually(() => rig.push.isReady())
    const slow = await open(rig)
    const fast = webSocket(rig)
    await eventually(() => isLoaded(slow) && isLoaded(fast))

    slow.socket.pause()
    const bytesBefore = slow.socket.bytesRead
    for (let round = 1; round <= ROUNDS; round++) {
      for (const key of KEYS) rig.put(key, { round, pad })
      await fast.watcher.until(() => hasRound(round, fast))
    }
    expect(fast.socket.bytesRead).toBeGreaterThan(15e6)
    slow.socket.resume()
    await eventually(() => hasRound(ROUNDS, slow))

    expect(slow.socket.bytesRead - bytesBefore).toBeLessThan(bytesMax)
    expect(
      Number(/millrace_push_conflated_total\{view="candles"\} (\d+)/.exec(rig.metrics.text())![1]),
    ).toBeGreaterThan(0)
    expect(rig.metrics.text()).not.toContain('millrace_push_dropped_total{')
    const expected = Object.fromEntries(KEYS.map((key) => [key, ROUNDS]))
    for (const client of [slow, fast]) expect(heldRounds(client)).toEqual(expected)
    expect(rig.logged.join()).not.toContain('keeps up to its own limit')
  })
})

describe('the addon', () => {
  test('finds the sockets that listen on a port and no others', async () => {
    const addon = loadPushAddon()
    expect(addon.limitUnsent(await freePort(), 1 << 17)).toBe(0)
    // Where there is IPv6 the first listens on that.
    for (const host of [undefined, '127.0.0.1']) {
      const accepted: Socket[] = []
      const server = createServer((socket) => accepted.push(socket))
      closers.push(() => server.close())
      await new Promise<void>((resolve) => server.listen({ port: 0, host }, resolve))
      const { port } = server.address() as AddressInfo
      const client = connect(port, '127.0.0.1')
      closers.push(() => client.destroy())
      await eventually(() => accepted.length === 1)
      closers.push(() => accepted[0]!.destroy())
      expect(addon.limitUnsent(port, 1 << 17)).toBe(1)
    }
  })

  test('that is not there says so, and what to do', () => {
    expect(() => loadPushAddon('/nowhere/millrace_push.node')).toThrow(MillraceError)
    expect(() => loadPushAddon('/nowhere/millrace_push.node')).toThrow(/millrace_push\.node/)
  })

  test('that is not there, finds no socket, or may not, is warned of, and the server goes on', () => {
    const lines: string[] = []
    const log = createLog({ level: 'warn', format: 'json', isTerminal: false, write: (line) => lines.push(line) })
    const limit = (load: () => PushAddon): void => limitUnsent({ port: 1, bytes: 1, log, load })
    limit(() => ({ limitUnsent: () => 1 }))
    expect(lines).toEqual([])
    limit(() => ({ limitUnsent: () => 0 }))
    const refuse = () => {
      throw new Error('Protocol not available')
    }
    limit(() => ({ limitUnsent: refuse }))
    limit(() => loadPushAddon('/nowhere/millrace_push.node'))
    expect(lines.map((line) => /no socket listens|Protocol not available|MR3005/.exec(line)?.[0])).toEqual([
      ...['no socket listens', 'Protocol not available', 'MR3005'],
    ])
  })
})
