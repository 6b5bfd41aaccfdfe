// The registry against the text format's rules. Keeps SPEC: METRIC-2, METRIC-3.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Registry, SERIES_MAX } from '../../src/ops/metrics.ts'
import { addProcessMetrics } from '../../src/ops/process-metrics.ts'

let nowMs = 0
function registry(): Registry {
  nowMs = 0
  return new Registry({ nowMs: () => nowMs, periodMs: 1000 })
}

/** A reader of the exposition format, written from its description: name, labels, value of each sample. */
function samplesOf(text: string): { name: string; labels: Record<string, string>; value: string }[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
      if (match === null) throw new Error(`not a sample: ${line}`)
      const labels: Record<string, string> = {}
      for (const [, name, value] of (match[2] ?? '').matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
        labels[name!] = value!.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter))
      }
      return { name: match[1]!, labels, value: match[3]! }
    })
}

describe('the exposition', () => {
  test('has help, type and samples of each metric, and nothing of one without samples', () => {
    const metrics = registry()
    metrics.counter('a_total', 'Back\\slash\nand line.').with({ topic: 't', partition: 0 }).add(3)
    metrics.gauge('unused', 'Nothing.')
    metrics.gauge('b', 'B.').with().set(-0.5)
    expect(metrics.text()).toBe(
      '# HELP a_total Back\\\\slash\\nand line.\n# TYPE a_total counter\na_total{partition="0",topic="t"} 3\n' +
        '# HELP b B.\n# TYPE b gauge\nb -0.5\n',
    )
  })

  test('gives any label value back to a reader', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', '{', '}', ',', '=', 'é', ' ') }), (value) => {
        const metrics = registry()
        metrics.gauge('g', 'G.').with({ label: value, other: 'x' }).set(1)
        expect(samplesOf(metrics.text())).toEqual([{ name: 'g', labels: { label: value, other: 'x' }, value: '1' }])
      }),
    )
  })

  test.each([
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [Number.NaN, 'NaN'],
    [1e21, '1e+21'],
  ])('writes %d as %s', (value, text) => {
    const metrics = registry()
    metrics.gauge('g', 'G.').with().set(value)
    expect(samplesOf(metrics.text())[0]!.value).toBe(text)
  })

  test('counts equal labels in any order as one series', () => {
    const counter = registry().counter('a_total', 'A.')
    expect(counter.with({ a: 1, b: 2 })).toBe(counter.with({ b: '2', a: '1' }))
  })

  test('runs collectors first, and drops a removed series', () => {
    const metrics = registry()
    const gauge = metrics.gauge('g', 'G.')
    metrics.onCollect(() => gauge.with({ p: 1 }).set(7))
    expect(samplesOf(metrics.text())[0]!.value).toBe('7')
    gauge.with({ p: 2 }).set(1)
    gauge.remove({ p: 2 })
    expect(samplesOf(metrics.text())).toHaveLength(1)
  })
})

describe('a summary', () => {
  test('has quantiles of the last periods, none of a quiet time, and sum and count of all time', () => {
    const metrics = registry()
    const summary = metrics.summary('s', 'S.').with({ stage: 'x' })
    for (let i = 1; i <= 100; i++) summary.record(i)
    const quantileOf = (quantile: string) =>
      Number(samplesOf(metrics.text()).find((s) => s.labels.quantile === quantile)!.value)
    expect(quantileOf('0.5')).toBeCloseTo(50, -0.5)
    expect(quantileOf('0.99') / 99).toBeCloseTo(1, 2)
    nowMs = 1500
    expect(quantileOf('0.5')).toBeCloseTo(50, -0.5)
    summary.record(1000)
    nowMs = 2600
    expect(quantileOf('0.5')).toBeCloseTo(1000, -1)
    nowMs = 9000
    expect(quantileOf('0.5')).toBeNaN()
    const samples = samplesOf(metrics.text())
    expect(samples.find((s) => s.name === 's_sum')).toEqual({ name: 's_sum', labels: { stage: 'x' }, value: '6050' })
    expect(samples.find((s) => s.name === 's_count')!.value).toBe('101')
  })
})

describe('the registry', () => {
  test('refuses names that Prometheus would not read, and a name twice', () => {
    const metrics = registry()
    expect(() => metrics.gauge('1a', '')).toThrow('not a metric name')
    expect(() => metrics.counter('a', '')).toThrow('_total')
    expect(() => metrics.gauge('g', '').with({ 'a-b': 1 })).toThrow('not a label name')
    expect(() => metrics.gauge('g', '')).toThrow('there already')
  })

  test('keeps no more series than its limit and counts the others', () => {
    const metrics = registry()
    const gauge = metrics.gauge('g', 'G.')
    for (let i = 0; i < SERIES_MAX + 5; i++) gauge.with({ i }).set(1)
    const samples = samplesOf(metrics.text())
    expect(samples.filter((sample) => sample.name === 'g')).toHaveLength(SERIES_MAX)
    expect(samples.at(-1)).toEqual({
      name: 'millrace_metric_series_dropped_total',
      labels: { metric: 'g' },
      value: '5',
    })
  })

  test('tells memory and CPU of the process', () => {
    const metrics = registry()
    const stop = addProcessMetrics(metrics)
    const values = new Map(samplesOf(metrics.text()).map((sample) => [sample.name, Number(sample.value)]))
    stop()
    expect(values.get('process_resident_memory_bytes')).toBeGreaterThan(1e6)
    expect(values.get('process_cpu_seconds_total')).toBeGreaterThan(0)
    expect(
      Math.abs(values.get('process_start_time_seconds')! * 1000 - (Date.now() - process.uptime() * 1000)),
    ).toBeLessThan(5000)
  })
})
