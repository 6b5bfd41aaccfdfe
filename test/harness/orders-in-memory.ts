// A seeded workload for jobs that key by another field than the one their records are partitioned by: orders in, the totals
// by user that must be there, whatever the interleaving of the partitions.
import { count, job, json, kafka, last, sum, tumbling } from 'millrace'
import type { Duration } from '../../src/job/duration.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import type { MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { seeded } from '../../src/testing/seeded.ts'

export const ORDER_PARTITIONS = 3
export const SIZE_MS = 1_000
export const OUT_OF_ORDER_MS = 500

export interface Order {
  id: string
  user: string
  amount: number
  ts: number
}

/** Orders are partitioned by their id and totalled by their user. */
export function totalsJob(more: { idleAfter?: Duration; closeOnIdle?: { maxDelay: Duration } } = {}): CompiledJob {
  return job('totals')
    .from(kafka('orders', { value: json<Order>(), key: 'id', eventTime: 'ts', outOfOrder: '500ms', ...more }))
    .keyBy('user')
    .window('1s', tumbling('1s'))
    .aggregate({ total: sum('amount'), n: count(), lastId: last('id') })
    .late(kafka('late'))
    .to(kafka('totals', { value: json() }), { emit: 'final' })
    .build()
}

interface Total {
  user: string
  windowStart: number
  total: number
  n: number
}

/** Appends orders, each within its partition's bound, and keeps what must come out. */
export class OrderFeed {
  readonly #kafka: MemoryKafka
  readonly #random: () => number
  readonly #nowMs: number[]
  readonly #totals = new Map<string, Total>()
  count = 0

  /** `startsMs`: where each partition begins in event time; they may lie hours apart. */
  constructor(kafka: MemoryKafka, seed: number, startsMs: readonly number[]) {
    this.#kafka = kafka
    this.#random = seeded(seed)
    this.#nowMs = [...startsMs]
  }

  append(count: number, partitions: readonly number[] = this.#nowMs.map((_, partition) => partition)): void {
    const random = this.#random
    for (let i = 0; i < count; i++) {
      const partition = partitions[Math.floor(random() * partitions.length)]!
      this.#nowMs[partition]! += Math.floor(random() * 100)
      const ts = this.#nowMs[partition]! - Math.floor(random() * (OUT_OF_ORDER_MS + 1))
      const id = `o${this.count++}`
      const order = { id, user: `u${Math.floor(random() * 9)}`, amount: 1 + Math.floor(random() * 50), ts }
      this.#kafka.append('orders', { key: id, value: JSON.stringify(order), partition, timestampMs: ts })
      this.#add(order)
    }
  }

  #add({ user, amount, ts }: Order): void {
    const windowStart = Math.floor(ts / SIZE_MS) * SIZE_MS
    const key = `${user}/${windowStart}`
    const total = this.#totals.get(key) ?? { user, windowStart, total: 0, n: 0 }
    this.#totals.set(key, { ...total, total: total.total + amount, n: total.n + 1 })
  }

  /** The rows that must be committed when the input has ended, sorted. */
  expected(): string[] {
    return [...this.#totals.values()].map(textOf).sort()
  }
  /** The rows that are committed, sorted. */
  committed(): string[] {
    return Array.from({ length: ORDER_PARTITIONS }, (_, partition) => this.#kafka.log('totals', partition))
      .flat()
      .map(({ value }) => textOf(JSON.parse(new TextDecoder().decode(value)) as Total))
      .sort()
  }
}

function textOf({ user, windowStart, total, n }: Total): string {
  return `${user}/${windowStart}: ${total} of ${n}`
}
