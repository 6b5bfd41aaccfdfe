// The builder: `job(name).from(...)...`; every call gives a new stage, so a stage can be the start of several jobs.
// Runs on every thread; pure.
// Keeps SPEC: JOB-1 (what a job says is data, checked when it is built), JOB-3 (illegal orders do not compile).

import { compileDraft } from './compile.ts'
import { DRAFT, type Draft, type DraftBranch, draftOf, type Step } from './draft.ts'
import type { CompiledJob } from './plan.ts'
import type { KafkaTopic } from './source.ts'
import type { JobOptions, JobStart, Stream } from './stages.ts'
import type { GlobalTable, Table } from './table-stages.ts'

/**
 * Begins a job. Its name is the consumer group, the prefix of its internal topics and of its state; `[a-z0-9-]`, at most 64.
 * Nothing is checked until `build()`, which throws MR1002 with all problems at once.
 *
 * @example
 * export default job('totals')
 *   .from(kafka('orders', { value: msgpack<{ user: string; amount: number }>(), key: 'user' }))
 *   .keyBy('user')
 *   .aggregate({ total: sum('amount') })
 *   .to(kafka('totals', { value: msgpack() }), { emit: 'updates' })
 */
export function job(name: string, options: JobOptions = {}): JobStart {
  // One class implements all stages; the interfaces of stages.ts say which of its methods a stage offers.
  return new Chain({ job: name, options, source: undefined, steps: [] }) as unknown as JobStart
}

/**
 * A stream beside that of a job, to be joined or merged with it.
 *
 * @example
 * const payments = stream(kafka('payments', { value: msgpack<Payment>(), key: 'orderId', eventTime: 'ts' })).keyBy('orderId')
 * job('paid').from(orders).keyBy('orderId').join('paid', payments, { within: { after: '10m' } }, (order, payment) => ({ ...order, ...payment }))
 */
export function stream<T, K extends string>(source: KafkaTopic<T, K>): Stream<[T] extends [never] ? unknown : T, K> {
  return new Chain({ job: undefined, options: undefined, source, steps: [] }) as never
}

/**
 * A topic as a table: the newest record of each Kafka key is its row, and one without a value deletes it.
 *
 * @example
 * const users = table(kafka('users', { value: msgpack<User>(), key: 'id' }))
 * job('visits').from(clicks).keyBy('user').joinTable('who', users, {}, (click, user) => ({ ...click, name: user.name }))
 */
export function table<T, K extends string>(source: KafkaTopic<T, K>): Table<[T] extends [never] ? unknown : T, K> {
  return new Chain({ job: undefined, options: undefined, source, steps: [], isTable: true }) as never
}

/**
 * A topic as a table that every instance has as a whole, in memory: for small tables that a stream is joined with by any field.
 * It is read to its end before the job starts, and followed from there on.
 *
 * @example
 * const rates = globalTable(kafka('rates', { value: json<Rate>(), key: 'currency' }))
 * job('priced').from(orders).joinTable('rate', rates, { on: 'currency' }, (order, rate) => ({ ...order, eur: order.amount * rate.eur }))
 */
export function globalTable<T, K extends string>(
  source: KafkaTopic<T, K>,
): GlobalTable<[T] extends [never] ? unknown : T> {
  return new Chain({ job: undefined, options: undefined, source, steps: [], isTable: true, isGlobal: true }) as never
}

class Chain {
  readonly #draft: Draft

  constructor(draft: Draft) {
    this.#draft = draft
  }
  get [DRAFT](): Draft {
    return this.#draft
  }
  from(source: unknown): Chain {
    return new Chain({ ...this.#draft, source })
  }
  table(source: unknown): Chain {
    return new Chain({ ...this.#draft, source, isTable: true })
  }
  filter(...args: unknown[]): Chain {
    return this.#with({ kind: 'filter', ...fieldsAndFunction(args) })
  }
  map(...args: unknown[]): Chain {
    return this.#with({ kind: 'map', ...fieldsAndFunction(args) })
  }
  flatMap(fn: unknown): Chain {
    return this.#with({ kind: 'flatMap', fields: undefined, fn })
  }
  keyBy(field: unknown): Chain {
    return this.#with({ kind: 'keyBy', field })
  }
  dedup(field: unknown, options: unknown): Chain {
    return this.#with({ kind: 'dedup', field, options })
  }
  join(name: unknown, other: unknown, options: unknown, fn: unknown): Chain {
    return this.#with({ kind: 'join', name, other, options, fn })
  }
  joinTable(name: unknown, other: unknown, options: unknown, fn: unknown): Chain {
    return this.#with({ kind: 'joinTable', name, other, options, fn })
  }
  branch(...branches: unknown[]): Chain {
    return this.#with({ kind: 'branch', branches: branches.map((one) => this.#branchOf(one)) })
  }
  #branchOf(given: unknown): DraftBranch {
    const { when, into } = (given ?? {}) as { when?: unknown; into?: unknown }
    const end: unknown = typeof into === 'function' ? into(new Chain({ ...this.#draft, steps: [] })) : undefined
    return { when, steps: draftOf(end)?.steps }
  }
  merge(other: unknown): Chain {
    return this.#with({ kind: 'merge', other })
  }
  process(name: unknown, options: unknown): Chain {
    return this.#with({ kind: 'process', name, options })
  }
  topN(name: unknown, options: unknown): Chain {
    return this.#with({ kind: 'topN', name, options })
  }
  window(name: unknown, window: unknown): Chain {
    return this.#with({ kind: 'window', name, window })
  }
  aggregate(aggregates: unknown, options: unknown): Chain {
    return this.#with({ kind: 'aggregate', aggregates, options })
  }
  reduce(...args: unknown[]): Chain {
    const [name, fn] = args.length > 1 ? args : [undefined, args[0]]
    return this.#with({ kind: 'reduce', name, fn })
  }
  late(target: unknown): Chain {
    return this.#with({ kind: 'late', target })
  }
  to(sink: unknown, options: unknown): Chain {
    return this.#with({ kind: 'to', sink, options })
  }
  toView(view: unknown, options: unknown): Chain {
    return this.#with({ kind: 'view', view, options })
  }
  build(): CompiledJob {
    return compileDraft(this.#draft)
  }
  #with(step: Step): Chain {
    return new Chain({ ...this.#draft, steps: [...this.#draft.steps, step] })
  }
}

/** `(fields, fn)` or `(fn)`. */
function fieldsAndFunction(args: readonly unknown[]): { fields: unknown; fn: unknown } {
  return args.length > 1 ? { fields: args[0], fn: args[1] } : { fields: undefined, fn: args[0] }
}
