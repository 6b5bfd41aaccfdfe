// The committed and the provisional slot of each key, and what a client is told of them: by cases and against an oracle.
// Holds SPEC: PROV-1, PROV-2, PROV-3, PROV-5.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { historyPlace } from '../../src/core/history-key.ts'
import type { ServerMessage, Subscribe } from '../../src/protocol/messages.ts'
import type { Follower } from '../../src/push/follower.ts'
import { HistoryStore } from '../../src/push/history-store.ts'
import { HistorySubscription } from '../../src/push/history-subscription.ts'
import { LiveView } from '../../src/push/live-view.ts'
import { PositionTokens } from '../../src/push/position-token.ts'
import { ProvisionalSlots } from '../../src/push/provisional-slots.ts'
import { pushMetrics } from '../../src/push/push-metrics.ts'
import { Subscription } from '../../src/push/subscription.ts'
import { ViewStore } from '../../src/push/view-store.ts'
import { type Encoded, jsonCodec } from '../../src/push/wire-codec.ts'
import { ProvisionalOracle } from './provisional-oracle.ts'

const STORE = { viewRowsMax: 1_000, viewBytesMax: 1 << 20, recentRowsMax: 3 }
const LIMITS = { provisionalRowsMax: 100, provisionalBytesMax: 1 << 20, provisionalMsMax: 10_000 }
const KEYS = ['A', 'B', 'C']

function slots(limits: Partial<typeof LIMITS> = {}): ProvisionalSlots {
  const made = new ProvisionalSlots(new ViewStore('v', [0], STORE), { ...LIMITS, ...limits })
  made.begun(1)
  return made
}

function give(
  to: ProvisionalSlots,
  epoch: number,
  key: string,
  json: string | undefined,
  attempt = 1,
  nowMs = 0,
): void {
  to.give(attempt, epoch, { key, partition: 0, timestampMs: 5, json }, nowMs)
}

describe('the provisional slot of a key', () => {
  it('has the newest row of the attempt that runs, numbered', () => {
    const made = slots()
    give(made, 1, 'A', '1')
    give(made, 1, 'A', '2')
    expect(made.of('A')?.row).toMatchObject({ json: '2', offset: -1, provisional: { attempt: 1, rev: 2 } })
    give(made, 2, 'A', '9', 2)
    expect(made.of('A')?.row.json).toBe('2')
  })

  it('takes the order of the topic where two lanes write a key: an epoch goes before the next', () => {
    const made = slots()
    give(made, 2, 'A', 'later')
    give(made, 1, 'A', 'earlier')
    expect(made.of('A')?.row.json).toBe('later')
  })

  it('is empty when its row is read, and not when an older one is', () => {
    const made = slots()
    give(made, 1, 'A', '1')
    give(made, 2, 'A', '2')
    made.committed(1, 1)
    made.read('A', '1')
    expect(made.of('A')?.row.json).toBe('2')
    made.committed(1, 2)
    made.read('A', '2')
    expect(made.size).toBe(0)
  })

  it('is empty when its row is read before its commit is told', () => {
    const made = slots()
    give(made, 1, 'A', '1')
    made.read('A', '1')
    expect(made.size).toBe(0)
  })

  it('is empty when its attempt ends without its commit, and stays when it ends with it', () => {
    const made = slots()
    give(made, 1, 'A', '1')
    give(made, 2, 'B', '2')
    made.committed(1, 1)
    made.ended(1)
    expect([...made.keys()]).toEqual(['A'])
    give(made, 2, 'C', '3')
    expect([...made.keys()]).toEqual(['A'])
    made.begun(2)
    made.committed(1, 9)
    made.read('A', '1')
    expect(made.size).toBe(0)
  })

  it('goes when somebody else has written the key and its own row is not to come', () => {
    const made = slots()
    give(made, 1, 'A', '1')
    made.committed(1, 1)
    made.read('A', 'of somebody else')
    expect(made.size).toBe(0)
  })

  it('is held for a time at most', () => {
    const made = slots()
    give(made, 1, 'A', '1', 1, 0)
    give(made, 1, 'B', '1', 1, 1)
    expect(made.expire(9_999)).toBe(false)
    expect(made.expire(10_000)).toBe(true)
    expect([...made.keys()]).toEqual(['B'])
  })

  it('is not there for further keys beyond the limits; keys that have one go on', () => {
    const made = slots({ provisionalRowsMax: 2 })
    for (const key of ['A', 'B', 'C', 'A']) give(made, 1, key, `"${key}"`)
    expect([...made.keys()].sort()).toEqual(['A', 'B'])
    expect(made.of('A')?.row.provisional?.rev).toBe(4)
    const small = slots({ provisionalBytesMax: 1_000 })
    give(small, 1, 'A', '1')
    give(small, 1, 'B', 'x'.repeat(400))
    expect([...small.keys()]).toEqual(['A'])
    // A row that grew out of the limit is not shown as the older one that it was.
    give(small, 1, 'A', 'x'.repeat(600))
    expect(small.size).toBe(0)
  })
})

/** Rows of a history by a name of their own: two of one key, one of another. */
const RECORDS: Record<string, string> = { A: 'X:0', B: 'X:1000', C: 'Y:0' }
const NAMES = new Map(Object.entries(RECORDS).map(([name, record]) => [record, name]))

/** A view with one subscription, and its client as the protocol tells it to be: two rows a key. Where it asks for a history, its keys are names. */
class Rig {
  readonly view: LiveView
  readonly subscription: Follower
  readonly committed = new Map<string, unknown>()
  readonly provisional = new Map<string, unknown>()
  isOpen = true
  position = ''
  #offset = 0

  constructor(request: Partial<Subscribe>, limits = LIMITS) {
    const store = new ViewStore('v', [0], STORE)
    const topic = { name: 't', tokens: new PositionTokens('v', 't', ''), openedMs: 0, removalMs: 0 }
    const counts = pushMetrics(undefined).ofView('v')
    const history = request.history === undefined ? undefined : new HistoryStore('v', [0], STORE)
    const wallMs = (): number => 0
    const parts = { topic, store, history, counts }
    this.view = new LiveView({ name: 'v', ...parts, messageCharsMax: 150, provisional: limits, wallMs })
    this.view.reachedEnd(0)
    const outlet = { codec: jsonCodec, isOpen: () => this.isOpen, send: (text: Encoded) => this.#take(text) }
    const subscribe: Subscribe = { type: 'subscribe', id: 1, view: 'v', provisional: true, ...request }
    const options = { view: this.view, outlet, request: subscribe, messageCharsMax: 150 }
    this.subscription =
      history === undefined ? new Subscription(options) : new HistorySubscription({ ...options, history })
    this.view.add(this.subscription)
  }
  /** The key of a record. */
  recordKey(name: string): string {
    return this.view.history === undefined ? name : RECORDS[name]!
  }
  give(attempt: number, epoch: number, name: string, json: string | undefined, nowMs: number): void {
    const key = this.recordKey(name)
    const place = this.view.history === undefined ? undefined : historyPlace(key)
    this.view.provisional.give(attempt, epoch, { key, place, partition: 0, timestampMs: 0, json }, nowMs)
  }
  read(name: string, json: string | undefined): void {
    const key = this.recordKey(name)
    this.view.apply({ partition: 0, offset: this.#offset++, timestampMs: 0, key, json })
    this.view.provisional.read(key, json)
    this.view.publish()
  }
  flush(): void {
    this.subscription.flush(0)
  }
  /** What it shows of a key, as JSON. */
  shown(key: string): string | undefined {
    const row = this.provisional.has(key) ? this.provisional.get(key) : this.committed.get(key)
    return row === undefined || row === null ? undefined : JSON.stringify(row)
  }
  #take(text: Encoded): void {
    const message = JSON.parse(text as string) as ServerMessage
    if (message.type !== 'snapshot' && message.type !== 'update') return
    if (message.type === 'snapshot' && message.isFirst) {
      this.committed.clear()
      this.provisional.clear()
    } else if (message.type === 'update' && message.prev !== this.position) throw new Error('a gap')
    const isMarked = message.rows.some((row) => row.isProvisional)
    if (isMarked && message.type === 'update' && message.position !== message.prev) throw new Error('it moved')
    this.position = message.position
    for (const { key: told, timeMs, row, isProvisional } of message.rows) {
      const key = timeMs === undefined ? told : NAMES.get(`${told}:${timeMs}`)!
      if (isProvisional) this.provisional.set(key, row)
      else {
        this.provisional.delete(key)
        if (row === null) this.committed.delete(key)
        else this.committed.set(key, row)
      }
    }
  }
}

it('a client that has to begin anew with a snapshot is told of rows that are not committed again', () => {
  const rig = new Rig({})
  rig.view.provisional.begun(1)
  give(rig.view.provisional, 1, 'A', '{"n":1}')
  rig.flush()
  rig.isOpen = false
  for (let n = 0; n <= STORE.recentRowsMax; n++) rig.read('B', rowOf(n))
  rig.isOpen = true
  rig.flush()
  expect([rig.shown('A'), rig.shown('B')]).toEqual(['{"n":1}', rowOf(STORE.recentRowsMax)])
})

type Step =
  | { do: 'give'; key: string; n: number | undefined }
  | { do: 'commit' | 'abort' | 'read' | 'settle' | 'flush' | 'close' | 'open' | 'expire' }
  | { do: 'foreign'; key: string; n: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('give' as const), key: fc.constantFrom(...KEYS), n: number() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('commit' as const, 'read' as const, 'flush' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('abort' as const, 'settle' as const, 'close' as const, 'open' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('foreign' as const), key: fc.constantFrom(...KEYS), n: fc.nat(4) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('expire' as const) }) },
)

function number(): fc.Arbitrary<number | undefined> {
  return fc.option(fc.nat(4), { nil: undefined, freq: 5 })
}

interface Kind {
  name: string
  request: Partial<Subscribe>
  /** The row as JSON, as the client would show it. */
  seen(json: string | undefined): string | undefined
  hasKey(key: string): boolean
}

const all = (): boolean => true
const KINDS: Kind[] = [
  { name: 'all rows', request: {}, seen: (json) => json, hasKey: all },
  { name: 'keys', request: { keys: ['A', 'C'] }, seen: (json) => json, hasKey: (key) => 'AC'.includes(key) },
  { name: 'a prefix', request: { prefix: 'B' }, seen: (json) => json, hasKey: (key) => key === 'B' },
  { name: 'fields', request: { fields: ['m'] }, seen: (json) => json?.replace(/"n":\d,/, ''), hasKey: all },
  {
    name: 'conditions',
    request: { where: { n: { gte: 2 } } },
    seen: (json) => (json !== undefined && JSON.parse(json).n >= 2 ? json : undefined),
    hasKey: all,
  },
  {
    name: 'conditions on keys',
    request: { keys: ['A', 'B'], where: { n: { lt: 2 } } },
    seen: (json) => (json !== undefined && JSON.parse(json).n < 2 ? json : undefined),
    hasKey: (key) => 'AB'.includes(key),
  },
  { name: 'a history', request: { keys: ['X', 'Y'], history: 10 }, seen: (json) => json, hasKey: all },
  {
    name: 'a history of some keys, with conditions',
    request: { keys: ['X'], history: 10, where: { n: { gte: 2 } } },
    seen: (json) => (json !== undefined && JSON.parse(json).n >= 2 ? json : undefined),
    hasKey: (key) => 'AB'.includes(key),
  },
]

const rowOf = (n: number | undefined): string | undefined => (n === undefined ? undefined : `{"n":${n},"m":1}`)

describe.each(KINDS)('a client of $name', ({ request, seen, hasKey }) => {
  it.each([{ limits: LIMITS }, { limits: { ...LIMITS, provisionalRowsMax: 2 } }])(
    'shows what is committed or may be, and in the end what is committed ($limits.provisionalRowsMax keys)',
    ({ limits }) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
          const rig = new Rig(request, limits)
          const oracle = new ProvisionalOracle()
          let [attempt, epoch, nowMs] = [1, 1, 0]
          const { provisional } = rig.view
          provisional.begun(attempt)
          rig.flush()
          const check = (): void => {
            rig.flush()
            for (const key of KEYS.filter(hasKey)) {
              expect(oracle.allowed(key).map(seen)).toContain(rig.shown(key))
              // It knows what is committed, whatever is shown above it.
              const row = rig.committed.get(key)
              expect(row === undefined ? undefined : JSON.stringify(row)).toBe(seen(oracle.committed.get(key)))
              const slot = provisional.of(rig.recordKey(key))?.row
              if (slot !== undefined) expect(rig.shown(key)).toBe(seen(slot.isRemoval ? undefined : slot.json))
              if (rig.provisional.has(key)) {
                const mark = rig.provisional.get(key)
                expect(oracle.provisional(key).map(seen)).toContain(mark === null ? undefined : JSON.stringify(mark))
              }
            }
          }
          const readOne = (): boolean => {
            const next = oracle.read()
            if (next !== undefined) rig.read(next.key, next.json)
            return next !== undefined
          }
          const take = (one: Step): void => {
            switch (one.do) {
              case 'give': {
                const { key, n } = one
                oracle.give({ key, json: rowOf(n), epoch })
                rig.give(attempt, epoch, key, rowOf(n), nowMs)
                if (!rig.isOpen || !hasKey(key) || provisional.of(rig.recordKey(key)) === undefined) return
                rig.flush()
                // Newer than what is committed, so it is shown at once.
                expect(rig.shown(key)).toBe(seen(rowOf(n)))
                return
              }
              case 'commit':
                oracle.commit(epoch)
                provisional.committed(attempt, epoch++)
                return
              case 'abort':
                oracle.abort()
                provisional.ended(attempt)
                provisional.begun(++attempt)
                epoch++
                return
              case 'foreign':
                oracle.foreign(one.key, rowOf(one.n))
                return
              case 'settle':
                take({ do: 'commit' })
                while (readOne());
                return
              case 'read':
                readOne()
                return
              case 'close':
              case 'open':
                rig.isOpen = one.do === 'open'
                return
              case 'expire':
                nowMs += 6_000
                provisional.expire(nowMs)
                return
              case 'flush':
                return
            }
          }
          for (const one of steps) {
            take(one)
            if (rig.isOpen) check()
          }
          rig.isOpen = true
          oracle.commit(epoch)
          provisional.committed(attempt, epoch)
          provisional.ended(attempt)
          while (readOne());
          provisional.expire(nowMs + 10_000)
          check()
          expect([...rig.provisional.keys()]).toEqual([])
          for (const key of KEYS.filter(hasKey)) expect(rig.shown(key)).toBe(seen(oracle.committed.get(key)))
        }),
        { numRuns: 150 },
      )
    },
  )
})
