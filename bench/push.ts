// `npm run bench:push`: rows to many WebSocket clients, each of which gets all: the highest rate at which none is missing and none has
// to be merged, of Millrace, of ws and of socket.io in turn. Then the memory of clients that have nothing to read, and what clients that
// stop to read do to the others. Servers and clients are processes of their own. Main thread.
import { readNumbers } from './lib/arguments.ts'
import { KINDS, type Kind } from './lib/fan-out.ts'
import { type FanOutStep, fanOut, idle } from './lib/fan-out-run.ts'
import { median, report, rounded, runBench, tell } from './lib/report.ts'

const OPTIONS = {
  clients: { default: 1_000, min: 1 },
  keys: { default: 1_000, min: 1 },
  /** Of each step. */
  seconds: { default: 3, min: 1 },
  /** Rows a second of the first step. */
  from: { default: 200, min: 1 },
  /** Clients that have nothing to read. */
  idle: { default: 10_000, min: 1 },
  /** Clients that stop to read, beside as many that are measured. */
  stalled: { default: 100, min: 1 },
  /** Pairs of runs, with them reading and not. */
  rounds: { default: 3, min: 1 },
} as const
const GROWTH = 1.3
/** A step is sustained when the rows come as fast as they are published: 99 of 100 within this. */
const LATENCY_MS_MAX = 500
const TARGET = 1_000_000
const WS_FACTOR_TARGET = 3
const IDLE_BYTES_MAX = 100 << 20
/** p99 of the others, when clients stop to read, over what it was. */
const STALLED_FACTOR_MAX = 1.1
/** 16 MB a client: more than the system's own buffers of a socket take, so that the server has to hold back and merge. */
const STALLED = { rate: 50, keys: 50, padChars: 16_000, seconds: 20 }

await runBench(async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS)
  const best = new Map<Kind, FanOutStep>()
  let gaps = 0
  for (const kind of KINDS) {
    // Up from the first rate as long as it is sustained; down to one that is where the first is not.
    for (let rate = options.from, isUp: boolean | undefined; rate >= 1; ) {
      const step = await fanOut(kind, rate, options)
      gaps += step.gaps + (step.conflated > 0 ? 0 : step.missing)
      const speed = `${Math.round(step.deliveriesPerSecond)} deliveries/s`
      const server = `server ${(step.cpuMs / step.publishMs).toFixed(2)} cores`
      tell(
        `${kind}, ${rate} rows/s: ${speed}, p50 ${step.latencyMsP50.toFixed(1)} ms, p99 ${step.latencyMsP99.toFixed(1)} ms, ${server}`,
      )
      const isSustained = step.conflated === 0 && step.latencyMsP99 <= LATENCY_MS_MAX
      if (isSustained) best.set(kind, step)
      isUp ??= isSustained
      if (isUp !== isSustained) break
      rate = Math.round(isUp ? rate * GROWTH : rate / 2)
    }
  }
  const idleResult = await idle(options.idle, options.keys)
  const perClient = `${(idleResult.bytesPerClient / 1024).toFixed(1)} KiB each`
  tell(
    `${options.idle} idle clients: ${((idleResult.bytes - idleResult.baseBytes) / 2 ** 20).toFixed(0)} MiB, ${perClient}`,
  )
  const stalled = await stall(options)
  const millrace = best.get('millrace')
  if (millrace === undefined) throw new Error('no rate was sustained')
  const peers = KINDS.filter((kind) => kind !== 'millrace').map((kind) => {
    const deliveriesPerSecond = Math.round(best.get(kind)?.deliveriesPerSecond ?? 0)
    return { kind, deliveriesPerSecond, factor: rounded(millrace.deliveriesPerSecond / deliveriesPerSecond, 2) }
  })
  const wsFactor = peers.find(({ kind }) => kind === 'ws')!.factor
  report({
    command: 'bench:push',
    correct: gaps === 0,
    ...options,
    deliveriesPerSecond: Math.round(millrace.deliveriesPerSecond),
    latencyMsP50: rounded(millrace.latencyMsP50, 1),
    latencyMsP95: rounded(millrace.latencyMsP95, 1),
    latencyMsP99: rounded(millrace.latencyMsP99, 1),
    gaps,
    rssBytesMax: millrace.rssBytesMax,
    serverCpuMicrosPerDelivery: rounded((millrace.cpuMs * 1_000) / millrace.deliveries, 3),
    peers,
    idle: idleResult,
    stalled,
    targets: {
      deliveriesPerSecond: millrace.deliveriesPerSecond >= TARGET,
      wsFactor: wsFactor >= WS_FACTOR_TARGET,
      idleBytes: idleResult.bytes - idleResult.baseBytes <= IDLE_BYTES_MAX,
      stalledFactor: stalled.factor <= STALLED_FACTOR_MAX,
    },
  })
})

interface Stalled {
  clients: number
  /** Of the others, while those clients read, and when they have stopped to; medians. */
  latencyMsP99Reading: number
  latencyMsP99: number
  factor: number
  /** Rows that were merged for those who do not read, in all runs: none, and nothing was measured. */
  conflated: number
}

/** What clients that stop to read do to as many others: pairs of runs, one after the other. */
async function stall({ rounds, stalled: clients }: { rounds: number; stalled: number }): Promise<Stalled> {
  const { rate, ...load } = STALLED
  const p99s: Record<'reading' | 'stalled', number[]> = { reading: [], stalled: [] }
  let conflated = 0
  for (let round = 1; round <= rounds; round++) {
    for (const kind of ['reading', 'stalled'] as const) {
      const others = { count: clients, doRead: kind === 'reading' }
      const step = await fanOut('millrace', rate, { clients, others, ...load })
      if (step.gaps + step.missing > 0) throw new Error(`${step.gaps} gaps, ${step.missing} rows missing`)
      if (kind === 'stalled') conflated += step.conflated
      p99s[kind].push(step.latencyMsP99)
      tell(`${clients} others ${kind}: p50 ${step.latencyMsP50.toFixed(1)} ms, p99 ${step.latencyMsP99.toFixed(1)} ms`)
    }
  }
  const [reading, stopped] = [median(p99s.reading), median(p99s.stalled)]
  return {
    clients,
    latencyMsP99Reading: rounded(reading, 1),
    latencyMsP99: rounded(stopped, 1),
    factor: rounded(stopped / reading, 3),
    conflated,
  }
}
