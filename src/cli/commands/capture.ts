// `millrace capture TOPIC`: prints a slice of a topic as lines that a test replays byte for byte. Main thread.
// Keeps SPEC: TEST-6, CLI-1.

import type { CommandSpec } from '../command.ts'
import { addConfigFlags, configFromFlags } from '../config-flags.ts'
import { wholeNumber } from '../number-argument.ts'

interface GivenOptions {
  partition: number
  fromOffset: number
  records: number
}

const KEYS = new Set(['brokers', 'limits.callMs', 'limits.connectMs'])

export const capture: CommandSpec = {
  define: (program) =>
    addConfigFlags(
      program
        .command('capture')
        .argument('<topic>', 'topic to read')
        .description('print a slice of a topic, a line a record, for `millrace test` and `replay` of the test driver')
        .option('--partition <number>', 'which partition', wholeNumber(0, 1e6), 0)
        .option('--from-offset <offset>', 'the first record', wholeNumber(0, Number.MAX_SAFE_INTEGER), 0)
        .option('--records <count>', 'how many, at most', wholeNumber(1, 1e9), 1_000),
      (key) => KEYS.has(key),
    ),
  jsonFields: {
    topic: 'the topic',
    partition: 'its partition',
    records: 'records printed; each is a line before, with its bytes in base64',
    nextOffset: 'offset behind the last one; null: there was none',
  },
  async run([topic], options, { terminal, env }) {
    const { partition, fromOffset, records } = options as unknown as GivenOptions
    const config = configFromFlags(options, env)
    const { openRdKafka } = await import('../../kafka/rdkafka/rdkafka.ts')
    const slices = await import('../../testing/capture.ts')
    const { sliceLine } = await import('../../testing/slice-file.ts')
    const { brokers, kafka: settings, limits } = config
    const kafka = openRdKafka({ brokers, settings, connectMs: limits.connectMs })
    const from = { topic: topic!, partition, offset: fromOffset }
    let count = 0
    let nextOffset: number | null = null
    for await (const record of slices.capture(kafka, { from, records, callMs: limits.callMs })) {
      terminal.data(sliceLine(record))
      count++
      nextOffset = record.offset + 1
    }
    terminal.say(`${count} records of ${topic}, partition ${partition}`)
    return { command: 'capture', topic, partition, records: count, nextOffset }
  },
}
