// The load of a chaos run: trades at a steady rate while the job lives and dies.
import type { Cluster } from '../../bench/lib/cluster.ts'
import { machineMs, sendPaced } from '../../bench/lib/paced.ts'
import { openLoader } from '../../bench/lib/trade-load.ts'
import type { TradeStream } from '../../src/cli/trades.ts'
import { FrameWriter } from '../../src/core/frame.ts'

const FLUSH_MS = 60_000

export interface Load {
  /** Ends it and resolves with how many records were sent, all of them delivered. Idempotent. */
  stop(): Promise<number>
  /** Rejects when sending fails. */
  failed: Promise<never>
}

/** Sends trades to a topic at a steady rate, until it is stopped. */
export function startLoad(cluster: Cluster, topic: string, trades: TradeStream, recordsPerSecond: number): Load {
  let isStopped = false
  const sending = sendTrades(cluster, topic, trades, recordsPerSecond, () => isStopped)
  const failed = new Promise<never>((_, reject) => {
    sending.catch(reject)
  })
  failed.catch(() => {}) // told by whoever waits for it or for `stop`
  return {
    failed,
    stop() {
      isStopped = true
      return sending
    },
  }
}

async function sendTrades(
  { kafka }: Cluster,
  topic: string,
  trades: TradeStream,
  recordsPerSecond: number,
  isStopped: () => boolean,
): Promise<number> {
  const producer = await openLoader(kafka)
  try {
    const writer = new FrameWriter()
    const sent = await sendPaced({
      startMs: machineMs(),
      recordsPerSecond,
      recordCount: Number.POSITIVE_INFINITY,
      isStopped,
      async send(from, to) {
        trades.fill(writer, 0, from, to)
        await producer.produce(writer.take()!, [topic])
      },
    })
    await producer.flush(FLUSH_MS)
    return sent
  } finally {
    await producer.close()
  }
}
