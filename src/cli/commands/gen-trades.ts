// `millrace gen trades`: writes seeded trades to a topic. Main thread.
// Keeps SPEC: GEN-1 (the same seed and start give the same bytes), GEN-2 (what is counted is delivered).

import { type Command, Option } from 'commander'
import { systemClock, systemScheduler } from '../../ops/system-clock.ts'
import type { CommandSpec } from '../command.ts'
import { addConfigFlags, configFromFlags } from '../config-flags.ts'
import { wholeNumber } from '../number-argument.ts'
import { onStopSignal } from '../stop-signals.ts'
import { KEY_COUNT, KEY_COUNT_MAX, type Spread } from '../symbols.ts'
import { produceTrades } from '../trade-producer.ts'
import {
  ENVELOPE_EVENTS_MAX,
  PADDED_BYTES_MAX,
  PADDED_BYTES_MIN,
  TRADE_VALUE_BYTES,
  type TradeOptions,
  tradeStream,
} from '../trades.ts'

/** Event rate when none is asked for, as the benches have it. */
const EVENT_RATE = 100_000
const RECORDS_MAX = 1e12
const STATUS_EVERY_MS = 1000

interface GenOptions {
  topic: string
  records: number
  rate: number
  seed: number
  keys: number
  spread: Spread
  valueBytes: number
  envelope: number
}

const KEYS = new Set(['brokers', 'limits.callMs', 'log.level', 'log.format'])

export const genTrades: CommandSpec = {
  define: (gen: Command) =>
    addConfigFlags(
      gen
        .command('trades')
        .description('write seeded trades {sym, price, qty, ts, id} as msgpack, keyed by sym')
        .option('--topic <name>', 'topic to write to', 'trades')
        .option('--records <count>', 'how many', wholeNumber(1, RECORDS_MAX), 1_000_000)
        .option('--rate <perSecond>', 'records per second; 0: as fast as the broker takes them', wholeNumber(0, 1e9), 0)
        .option('--seed <number>', 'the same seed and start give the same bytes', wholeNumber(0, 2 ** 32 - 1), 1)
        .option('--start-ms <time>', 'event time of the first trade (default: now)', wholeNumber(0, 1e15))
        .option('--keys <count>', 'how many symbols', wholeNumber(1, KEY_COUNT_MAX), KEY_COUNT)
        .addOption(
          new Option('--spread <law>', 'how often each symbol comes').choices(['zipf', 'uniform']).default('zipf'),
        )
        .option(
          '--value-bytes <size>',
          `bytes of an event: ${TRADE_VALUE_BYTES}, or ${PADDED_BYTES_MIN} and more with a field of text`,
          eventBytes,
          TRADE_VALUE_BYTES,
        )
        .option(
          '--envelope <events>',
          'events of one symbol in each value, as an array; 1: single events',
          wholeNumber(1, ENVELOPE_EVENTS_MAX),
          1,
        ),
      (key) => KEYS.has(key),
    ),
  jsonFields: {
    topic: 'where they went',
    seed: 'the seed',
    startMs: 'event time of the first trade',
    records: 'trades delivered',
    seconds: 'time taken',
    recordsPerSecond: 'delivered per second',
  },
  async run(_args, options, { terminal, env }) {
    const { topic, records, rate, seed } = options as unknown as GenOptions
    const config = configFromFlags(options, env)
    const { openRdKafka } = await import('../../kafka/rdkafka/rdkafka.ts')
    const producer = await openRdKafka({ brokers: config.brokers, settings: config.kafka }).openProducer({})
    const startMs = (options.startMs as number | undefined) ?? systemClock.wallMs()
    const trades = tradeStream({
      seed,
      count: records,
      startMs,
      recordsPerEventSecond: rate || EVENT_RATE,
      ...shapeOf(options as unknown as GenOptions),
    })
    const beganMs = systemClock.monotonicMs()
    let isStopped = false
    let count = 0
    const undo = onStopSignal(() => {
      isStopped = true
    })
    const status = setInterval(() => terminal.status(`${count.toLocaleString('en-US')} trades`), STATUS_EVERY_MS)
    try {
      count = await produceTrades({
        producer,
        topic,
        trades,
        records,
        rate,
        clock: systemClock,
        scheduler: systemScheduler,
        flushMs: config.limits.callMs,
        isStopped: () => isStopped,
        onWritten: (_from, to) => {
          count = to
        },
      })
    } finally {
      clearInterval(status)
      undo()
      await producer.close()
    }
    const seconds = (systemClock.monotonicMs() - beganMs) / 1000
    const recordsPerSecond = Math.round(count / seconds)
    terminal.say(`${count} trades to ${topic} in ${seconds.toFixed(1)} s (${recordsPerSecond} records/s)`)
    return {
      command: 'gen',
      topic,
      seed,
      startMs,
      records: count,
      seconds: Number(seconds.toFixed(3)),
      recordsPerSecond,
    }
  },
}

function shapeOf({ keys, spread, valueBytes, envelope }: GenOptions): Partial<TradeOptions> {
  return { keyCount: keys, spread, valueBytes, envelopeEvents: envelope }
}

function eventBytes(text: string): number {
  return text === String(TRADE_VALUE_BYTES) ? TRADE_VALUE_BYTES : wholeNumber(PADDED_BYTES_MIN, PADDED_BYTES_MAX)(text)
}
