// A small job for tests of commands: counts trades by symbol and second. Its topics carry the name of the test.
// Runs in the test runner's process.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { unpack } from 'msgpackr'
import { FrameView } from '../../src/core/frame.ts'
import type { Kafka } from '../../src/kafka/port.ts'

/** Writes the job file into `folder`: reads `name`, writes `<name>-out`, `<name>-late` and the view `counts`. */
export function writeCountsJob(folder: string, name: string): string {
  const path = join(folder, 'job.ts')
  const text = `import { count, job, kafka, msgpack, tumbling } from 'millrace'
    type Trade = { sym: string; price: number; qty: number; ts: number; id: number }
    export default job('${name}')
      .from(kafka('${name}', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', outOfOrder: '2s' }))
      .keyBy('sym')
      .window('1s', tumbling('1s'))
      .aggregate({ n: count() })
      .late(kafka('${name}-late'))
      .to(kafka('${name}-out', { value: msgpack() }), { emit: 'final' })
      .toView('counts', { emit: 'updates' })`
  writeFileSync(path, text)
  return path
}

/** The sum of `n` over the committed rows of a topic. */
export async function countedIn(kafka: Kafka, topic: string, partitionCount: number): Promise<number> {
  const reader = await kafka.openReader({})
  let sum = 0
  try {
    reader.assign(Array.from({ length: partitionCount }, (_, partition) => ({ topic, partition, offset: 0 })))
    for (let endCount = 0; endCount < partitionCount; ) {
      const { batches, ends, errors } = await reader.poll({ recordsMax: 10_000, bytesMax: 1 << 22, waitMs: 1000 })
      if (errors.length > 0) throw new Error(`${topic}: ${errors[0]!.message}`)
      endCount += ends.length
      for (const { frame } of batches) {
        const view = new FrameView(frame)
        for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
          sum += (unpack(view.value(at)!) as { n: number }).n
        }
      }
    }
  } finally {
    await reader.close()
  }
  return sum
}
