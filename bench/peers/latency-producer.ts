// The sender of the latency bench: open loop, each record at its intended time, whatever the system does. Own process.
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { sendPaced } from '../lib/paced.ts'
import { report, runBench } from '../lib/report.ts'
import { type SentOptions, SentRecords } from '../lib/sent-records.ts'

/** What it is told, as JSON in BENCH_SEND. */
export interface SendTask extends SentOptions {
  brokers: string
  topic: string
  recordCount: number
}

const FLUSH_MS = 60_000

await runBench(async () => {
  const task = JSON.parse(process.env.BENCH_SEND ?? '') as SendTask
  const kafka = openRdKafka({ brokers: task.brokers, settings: {} })
  // Just long enough for the records of a tick to go in one request a partition: with 0 each would be a request of its own.
  const producer = await kafka.openProducer({ settings: { 'linger.ms': 1, 'compression.codec': 'none' } })
  const sent = new SentRecords(task)
  await sendPaced({
    ...task,
    send: (from, to) => producer.produce(sent.frame(from, to), [task.topic]),
  })
  await producer.flush(FLUSH_MS)
  await producer.close()
  report({ command: 'latency-producer', correct: true, records: task.recordCount })
})
