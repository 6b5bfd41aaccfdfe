// A small registry of metrics with Prometheus' text exposition: counters, gauges and summaries. Main thread.
// Keeps SPEC: METRIC-2 (the text is what Prometheus reads, whatever a label holds), METRIC-3 (series are limited).
import { Histogram } from '../core/histogram.ts'

/** Series of one metric; more are counted in `millrace_metric_series_dropped_total` and not kept. */
export const SERIES_MAX = 10_000
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
const QUANTILES = [0.5, 0.95, 0.99] as const

export type Labels = Readonly<Record<string, string | number>>
type MetricType = 'counter' | 'gauge' | 'summary'

/** One series of a counter or gauge: keep it where the number changes often. */
export class Cell {
  value = 0
  add(amount: number): void {
    this.value += amount
  }
  set(value: number): void {
    this.value = value
  }
}

/** What both periods of a summary are merged into when it is read; one for all of them. */
const scratch = new Histogram()

/**
 * Quantiles over the last one to two periods, sum and count since the start. The two histograms take turns, so that an
 * old peak is forgotten and a scrape right after a turn still has values.
 */
export class SummaryCell {
  #current = new Histogram()
  #previous = new Histogram()
  readonly #periodMs: number
  readonly #nowMs: () => number
  #turnedMs: number
  sum = 0
  count = 0

  constructor(periodMs: number, nowMs: () => number) {
    this.#periodMs = periodMs
    this.#nowMs = nowMs
    this.#turnedMs = nowMs()
  }
  /** Counts `value`, `weight` times. */
  record(value: number, weight = 1): void {
    this.#turn()
    this.#current.record(value, weight)
    this.sum += Math.max(value, 0) * weight
    this.count += weight
  }
  /** One value a share, of which 0.99 is the 99th percentile; NaN when nothing was recorded lately: 0 would be a perfect latency. */
  quantiles(shares: readonly number[]): number[] {
    this.#turn()
    scratch.reset()
    scratch.merge(this.#previous)
    scratch.merge(this.#current)
    return shares.map((share) => (scratch.count === 0 ? Number.NaN : scratch.percentile(share * 100)))
  }
  #turn(): void {
    const elapsedMs = this.#nowMs() - this.#turnedMs
    if (elapsedMs < this.#periodMs) return
    const recycled = this.#previous
    this.#previous = this.#current
    this.#current = recycled
    this.#current.reset()
    if (elapsedMs >= 2 * this.#periodMs) this.#previous.reset()
    this.#turnedMs = this.#nowMs()
  }
}

/** All series of one name. */
class Family<C extends Cell | SummaryCell> {
  readonly name: string
  readonly help: string
  readonly type: MetricType
  readonly cells = new Map<string, C>()
  readonly #make: () => C
  readonly #dropped: (name: string) => void

  constructor(name: string, help: string, type: MetricType, make: () => C, dropped: (name: string) => void) {
    this.name = name
    this.help = help
    this.type = type
    this.#make = make
    this.#dropped = dropped
  }
  /** The series with these labels; made at first use. Beyond the limit it is one that nobody reads. */
  with(labels: Labels = {}): C {
    const key = labelText(labels)
    const known = this.cells.get(key)
    if (known !== undefined) return known
    const cell = this.#make()
    if (this.cells.size < SERIES_MAX) this.cells.set(key, cell)
    else this.#dropped(this.name)
    return cell
  }
  /** Forgets a series, e.g. of a partition that went to another process. */
  remove(labels: Labels): void {
    this.cells.delete(labelText(labels))
  }
}

export type Counter = Family<Cell>
export type Gauge = Family<Cell>
export type Summary = Family<SummaryCell>

export interface RegistryOptions {
  /** Monotonic milliseconds. */
  nowMs: () => number
  /** A summary's quantiles are over the last one to two periods. */
  periodMs?: number
}

/**
 * The metrics of a process.
 *
 * @example
 * const registry = new Registry({ nowMs: () => performance.now() })
 * const records = registry.counter('millrace_records_total', 'Records read.')
 * records.with({ topic: 'trades' }).add(100)
 * registry.text() // '# HELP millrace_records_total Records read.\n...'
 */
export class Registry {
  readonly #families = new Map<string, Family<Cell> | Family<SummaryCell>>()
  readonly #collectors: (() => void)[] = []
  readonly #nowMs: () => number
  readonly #periodMs: number

  constructor(options: RegistryOptions) {
    this.#nowMs = options.nowMs
    this.#periodMs = options.periodMs ?? 30_000
  }
  counter(name: string, help: string): Counter {
    return this.#family(name, help, 'counter', () => new Cell())
  }
  gauge(name: string, help: string): Gauge {
    return this.#family(name, help, 'gauge', () => new Cell())
  }
  summary(name: string, help: string): Summary {
    return this.#family(name, help, 'summary', () => new SummaryCell(this.#periodMs, this.#nowMs))
  }
  /** The sum over all series of a counter or a gauge; 0 where there is none. */
  total(name: string): number {
    let sum = 0
    for (const cell of this.#families.get(name)?.cells.values() ?? []) if (cell instanceof Cell) sum += cell.value
    return sum
  }
  /** Runs before every exposition: for gauges that are read off something. */
  onCollect(collect: () => void): void {
    this.#collectors.push(collect)
  }
  /** The exposition in Prometheus' text format 0.0.4. */
  text(): string {
    for (const collect of this.#collectors) collect()
    const lines: string[] = []
    for (const family of this.#families.values()) {
      if (family.cells.size === 0) continue
      lines.push(`# HELP ${family.name} ${family.help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`)
      lines.push(`# TYPE ${family.name} ${family.type}`)
      for (const [labels, cell] of family.cells) lines.push(...sampleLines(family.name, labels, cell))
    }
    return `${lines.join('\n')}\n`
  }
  #family<C extends Cell | SummaryCell>(name: string, help: string, type: MetricType, make: () => C): Family<C> {
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw new RangeError(`${name} is not a metric name`)
    if (type === 'counter' && !name.endsWith('_total')) throw new RangeError(`the counter ${name} must end in _total`)
    if (this.#families.has(name)) throw new RangeError(`the metric ${name} is there already`)
    const family = new Family(name, help, type, make, (dropped) => this.#countDropped(dropped))
    this.#families.set(name, family as Family<Cell> | Family<SummaryCell>)
    return family
  }
  #countDropped(metric: string): void {
    const name = 'millrace_metric_series_dropped_total'
    const counter =
      (this.#families.get(name) as Counter | undefined) ??
      this.counter(name, `Look-ups of series beyond the ${SERIES_MAX} of a metric; they are not kept.`)
    counter.with({ metric }).add(1)
  }
}

function sampleLines(name: string, labels: string, cell: Cell | SummaryCell): string[] {
  if (cell instanceof Cell) return [`${name}${braced(labels)} ${numberText(cell.value)}`]
  const quantiles = cell.quantiles(QUANTILES)
  const lines = QUANTILES.map((share, index) => {
    const quantileLabels = `${labels}${labels === '' ? '' : ','}quantile="${share}"`
    return `${name}{${quantileLabels}} ${numberText(quantiles[index]!)}`
  })
  return [
    ...lines,
    `${name}_sum${braced(labels)} ${numberText(cell.sum)}`,
    `${name}_count${braced(labels)} ${cell.count}`,
  ]
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`
}

/** `topic="trades",partition="0"`; the names in order, so that equal labels are one series. */
function labelText(labels: Labels): string {
  const parts: string[] = []
  for (const name of Object.keys(labels).sort()) {
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) throw new RangeError(`${name} is not a label name`)
    parts.push(`${name}="${escapeLabel(String(labels[name]))}"`)
  }
  return parts.join(',')
}

function escapeLabel(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}
