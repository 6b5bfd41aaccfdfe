// `npm run bench:push`: rows to many WebSocket clients, each of which gets all: the highest rate at which none is missing and none has
// to be merged, of Millrace, of ws and of socket.io in turn. Servers and clients are processes of their own. Main thread.
import { readNumbers } from './lib/arguments.ts'
import { KINDS, type Kind } from './lib/fan-out.ts'
import { type FanOutStep, fanOut } from './lib/fan-out-run.ts'
import { report, rounded, runBench, tell } from './lib/report.ts'

const OPTIONS = {
  clients: { default: 1_000, min: 1 },
  keys: { default: 1_000, min: 1 },
  /** Of each step. */
  seconds: { default: 3, min: 1 },
  /** Rows a second of the first step. */
  from: { default: 200, min: 1 },
} as const
const GROWTH = 1.3
/** A step is sustained when the rows come as fast as they are published: 99 of 100 within this. */
const LATENCY_MS_MAX = 500
const TARGET = 1_000_000
const WS_FACTOR_TARGET = 3

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
    targets: { deliveriesPerSecond: millrace.deliveriesPerSecond >= TARGET, wsFactor: wsFactor >= WS_FACTOR_TARGET },
  })
})
