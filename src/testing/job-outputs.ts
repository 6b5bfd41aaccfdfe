// What a job under test has committed, in the order in which it was produced, and what happened meanwhile. Test processes,
// main thread.
// Keeps SPEC: TEST-2 (the same seed gives the same trace).

import { decodeHeaders } from '../core/frame.ts'
import { allOperators, type CompiledJob, type PlanTopics, type ValueFormat } from '../job/plan.ts'
import { planTopics } from '../job/plan-topics.ts'
import { topologyOf } from '../job/topology.ts'
import type { MemoryKafka } from '../kafka/memory-kafka/memory-kafka.ts'
import type { LogRecord } from '../kafka/memory-kafka/partition-log.ts'
import {
  type DeadRecord,
  deadRecord,
  type LateRecord,
  lateRecord,
  type OutputRow,
  outputRow,
  type WrittenRecord,
} from './decoded.ts'

/** Anything that a job gives. */
export type Output =
  | { kind: 'row'; row: OutputRow<unknown> }
  | { kind: 'late'; row: LateRecord<unknown> }
  | { kind: 'dead'; row: DeadRecord }

/** A record that was read, decoded when it is asked for. */
interface Read {
  topic: string
  partition: number
  record: LogRecord
  output: Output | undefined
}

interface ReadPartition {
  topic: string
  partition: number
  nextOffset: number
}

export class JobOutputs {
  readonly #kafka: MemoryKafka
  readonly #topics: PlanTopics
  readonly #formats: ReadonlyMap<string, ValueFormat>
  /** Topics of views with history. */
  readonly #histories: ReadonlySet<string>
  /** Of records of the source, before and behind a repartition topic. */
  readonly #sourceFormats: readonly ValueFormat[]
  readonly #job: string
  #partitions: ReadPartition[] = []
  readonly #read: Read[] = []
  readonly #trace: (string | Read)[] = []

  constructor(job: CompiledJob, kafka: MemoryKafka) {
    this.#kafka = kafka
    this.#job = job.plan.job
    this.#topics = planTopics(job.plan)
    this.#formats = sinkFormats(job)
    this.#histories = historyTopics(job)
    this.#sourceFormats = topologyOf(job.plan).subs.map(({ source }) => source.format)
  }

  /** From now on everything that is written to these topics is seen, as it is committed. */
  watch(partitionCounts: ReadonlyMap<string, number>): void {
    const { names, changelogs, repartitions } = this.#topics
    const own = [...changelogs, ...repartitions].map((index) => names[index])
    this.#partitions = names
      .filter((name) => !own.includes(name))
      .flatMap((topic) =>
        Array.from({ length: partitionCounts.get(topic) ?? 0 }, (_, partition) => ({
          topic,
          partition,
          nextOffset: 0,
        })),
      )
  }

  /** Takes what was committed since the last call, in the order in which it was produced. */
  collect(): void {
    const fresh: Read[] = []
    for (const at of this.#partitions) {
      const { topic, partition } = at
      const { stable } = this.#kafka.offsets(topic, partition)
      if (stable <= at.nextOffset) continue
      for (const record of this.#kafka.logFrom(topic, partition, at.nextOffset)) {
        fresh.push({ topic, partition, record, output: undefined })
      }
      at.nextOffset = stable
    }
    fresh.sort((a, b) => a.record.sequence - b.record.sequence)
    for (const read of fresh) {
      this.#read.push(read)
      this.#trace.push(read)
    }
  }

  /** Notes a step of the run. */
  step(words: string): void {
    this.#trace.push(words)
  }

  /** Steps and committed records, in their order. */
  trace(): string[] {
    return this.#trace.map((entry) => (typeof entry === 'string' ? entry : words(entry)))
  }

  /** Everything that the job gave, decoded, from the `from`-th on. */
  all(from = 0): Output[] {
    return this.#read.slice(from).map((read) => this.#decoded(read))
  }
  get count(): number {
    return this.#read.length
  }

  /** Rows of a sink topic or a view, of all when none is named. Throws RangeError for one that no sink of the job writes. */
  rows(topicOrView: string | undefined): OutputRow<unknown>[] {
    const topic = topicOrView === undefined ? undefined : this.#topicOf(topicOrView)
    return this.#of((read) => (topic === undefined ? this.#formats.has(read.topic) : read.topic === topic)).map(
      (output) => output.row as OutputRow<unknown>,
    )
  }

  late(): LateRecord<unknown>[] {
    const isLate = ({ topic }: Read): boolean => !this.#formats.has(topic) && !this.#isDead(topic)
    return this.#of(isLate).map(({ row }) => row as LateRecord<unknown>)
  }

  dead(): DeadRecord[] {
    return this.#of(({ topic }) => this.#isDead(topic)).map(({ row }) => row as DeadRecord)
  }

  /** The topic of a view. Throws RangeError when the job has none of the name. */
  viewTopic(view: string): string {
    const topic = `${this.#job}-view-${view}`
    if (!this.#formats.has(topic)) throw new RangeError(`the job has no view ${view}`)
    return topic
  }

  /** The view has a row of each key and time. */
  hasHistory(view: string): boolean {
    return this.#histories.has(this.viewTopic(view))
  }

  #topicOf(topicOrView: string): string {
    if (this.#formats.has(topicOrView)) return topicOrView
    const view = `${this.#job}-view-${topicOrView}`
    if (this.#formats.has(view)) return view
    const known = [...this.#formats.keys()].join(', ')
    throw new RangeError(`no sink of the job writes ${topicOrView}; they write ${known}`)
  }

  #isDead(topic: string): boolean {
    return topic === this.#topics.names[this.#topics.dlq]
  }

  #of(isWanted: (read: Read) => boolean): Output[] {
    return this.#read.filter(isWanted).map((read) => this.#decoded(read))
  }

  #decoded(read: Read): Output {
    read.output ??= this.#decode(read)
    return read.output
  }

  #decode({ topic, partition, record: { timestampMs, key, value, headers } }: Read): Output {
    const record: WrittenRecord = { topic, partition, timestampMs, key, value, headers: decodeHeaders(headers) }
    const format = this.#formats.get(topic)
    if (format !== undefined) return { kind: 'row', row: outputRow(record, format) }
    if (this.#isDead(topic)) return { kind: 'dead', row: deadRecord(record, this.#sourceFormats) }
    return { kind: 'late', row: lateRecord(record, this.#sourceFormats.at(-1)!) }
  }
}

function words({ topic, partition, record }: Read): string {
  const { offset, timestampMs, key, value } = record
  const hex = (bytes: Uint8Array | undefined): string =>
    bytes === undefined ? '-' : Buffer.from(bytes).toString('hex')
  return `${topic}/${partition}@${offset} ${timestampMs} ${hex(key)} ${hex(value)}`
}

function sinkFormats(job: CompiledJob): Map<string, ValueFormat> {
  const formats = new Map<string, ValueFormat>()
  for (const operator of allOperators(job.plan)) {
    if (operator.kind === 'to' || operator.kind === 'view') formats.set(operator.topic, operator.sink.format)
  }
  return formats
}

function historyTopics({ plan }: CompiledJob): Set<string> {
  const views = allOperators(plan).filter((operator) => operator.kind === 'view')
  return new Set(views.flatMap(({ topic, history }) => (history === undefined ? [] : [topic])))
}
