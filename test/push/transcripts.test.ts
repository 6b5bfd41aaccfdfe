// The transcripts of docs/protocol.md, said to a real server in both encodings. Holds SPEC: PUSH-1, PUSH-12, PUSH-13, PUSH-14, PUSH-34,
// PROV-1, PROV-2, PROV-3.
import { readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import type { Registry } from '../../src/ops/metrics.ts'
import { JSON_PROTOCOL, MSGPACK_PROTOCOL } from '../../src/protocol/messages.ts'
import { ProvisionalHub } from '../../src/push/provisional-hub.ts'
import { eventually, type Rig, startRig, TOPIC, Watcher } from './push-fixture.ts'

const text = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8')
const transcripts = [...text.matchAll(/```transcript( history)?\n(.*?)```/gs)].map(([, kind, lines], i) => ({
  name: `transcript ${i + 1}`,
  history: kind !== undefined,
  lines: lines!.trim().split('\n'),
}))

let rig: Rig | undefined
afterEach(async () => {
  await rig?.push.close()
})

/** Names of positions, by what they stand for. */
class Positions {
  readonly #names = new Map<string, string>()
  readonly #positions = new Map<string, string>()

  /** A message of the server with names in place of positions; a position that is new has the next name. */
  named(message: unknown): unknown {
    return mapped(message, (position) => {
      if (!this.#names.has(position)) {
        const name = `P${this.#names.size + 1}`
        this.#names.set(position, name)
        this.#positions.set(name, position)
      }
      return this.#names.get(position)!
    })
  }
  /** A message of the client with positions in place of names. */
  meant(message: unknown): object {
    return mapped(message, (name) => this.#positions.get(name) ?? name) as object
  }
}

function mapped(message: unknown, change: (text: string) => string): unknown {
  const fields = Object.entries(message as object)
  return Object.fromEntries(
    fields.map(([name, value]) => [
      name,
      ['position', 'prev', 'resume'].includes(name) ? change(value as string) : value,
    ]),
  )
}

test('there are transcripts', () => {
  expect(transcripts.length).toBeGreaterThanOrEqual(3)
})

test.each(transcripts.flatMap((one) => [JSON_PROTOCOL, MSGPACK_PROTOCOL].map((protocol) => ({ ...one, protocol }))))(
  '$name, $protocol',
  async ({ lines, history, protocol }) => {
    const hub = new ProvisionalHub(new Map([[0, TOPIC]]))
    rig = await startRig({ views: [{ name: 'candles', topic: TOPIC, history }], provisional: hub }, 1)
    hub.begun(1)
    const given: PutRecord[] = []
    let epoch = 1
    const { push, kafka, wsUrl, metrics } = rig
    const watcher = new Watcher(wsUrl, undefined, {}, { 'sec-websocket-protocol': protocol })
    await eventually(() => push.isReady())
    await eventually(() => watcher.isOpen)
    const positions = new Positions()
    let read = 0
    let putCount = 0
    for (const line of lines) {
      const rest = line.slice(2)
      if (line.startsWith('> ')) {
        watcher.say(positions.meant(JSON.parse(rest)))
        // Nothing answers it: the server has read it when it answers what comes next.
        if (rest.includes('unsubscribe')) await answered(watcher)
      } else if (line.startsWith('< ')) {
        await watcher.until(() => watcher.messages.length > read)
        expect(timeless(positions.named(watcher.messages[read++]))).toEqual(JSON.parse(rest))
      } else if (line.startsWith('give ')) {
        given.push(recordOf(line))
        hub.given(1, epoch, frameOf(given.at(-1)!))
      } else if (line === 'commit') {
        hub.committed(1, epoch++)
        putCount += given.length
        for (const record of given.splice(0)) kafka.append(TOPIC, record)
      } else if (line === 'abort') {
        hub.ended(1)
      } else {
        kafka.append(TOPIC, recordOf(line))
        putCount++
        // What is put before anybody subscribes must be there by then.
        await eventually(() => readCount(metrics) === putCount)
      }
    }
    expect(watcher.messages.slice(read)).toEqual([])
  },
)

interface PutRecord {
  key: string
  timestampMs: number
  value: string | undefined
}

function recordOf(line: string): PutRecord {
  const [, key, timestampMs, value] = /^\w+ (\S+) (\d+) ?(.*)$/.exec(line)!
  return { key: key!, timestampMs: Number(timestampMs), value: value === '' ? undefined : value! }
}

function frameOf({ key, timestampMs, value }: PutRecord): ArrayBuffer {
  const writer = new FrameWriter()
  writer.append(0, -1, timestampMs, Buffer.from(key), value === undefined ? undefined : Buffer.from(value))
  return writer.take()!
}

/** Times of the clock are a `T`. */
function timeless(message: unknown): unknown {
  const times = Object.entries(message as object).map(([name, value]) =>
    ['sinceMs', 'lagMs'].includes(name) ? [name, 'T'] : [name, value],
  )
  return Object.fromEntries(times)
}

async function answered(watcher: Watcher): Promise<void> {
  watcher.say({ type: 'ping' })
  await watcher.until(() => watcher.messages.at(-1)?.type === 'ping')
  watcher.messages.pop()
}

/** Records of the topic that the view has taken. */
function readCount(metrics: Registry): number {
  return Number(/millrace_push_rows_read_total\{view="candles"\} (\d+)/.exec(metrics.text())?.[1] ?? 0)
}
