// The floor of every end-to-end number: records fetched through the addon and counted, nothing else done with them.
// What a job needs beyond it is the job's own. Main thread; the work is on librdkafka's and the addon's threads.
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'

const CALL_MS = 30_000
/** What a job polls with; frames that stay in the processor's cache cost least. */
const POLL = { recordsMax: 20_000, bytesMax: 4 << 20, waitMs: 1_000 }

export interface Floor {
  records: number
  recordsPerSecond: number
  /** Of all threads of this process, the client's fetching, decompression and checksums included. */
  cpuMicrosPerRecord: number
  rssBytesMax: number
}

/**
 * Reads the first `recordCount` records of a topic, all its partitions, as fast as the addon can, and counts them.
 *
 * @throws when the topic has fewer records, or a poll reports an error
 * @example
 * const { recordsPerSecond } = await measureFloor(brokers, 'trades', 2_000_000)
 */
export async function measureFloor(brokers: string, topic: string, recordCount: number): Promise<Floor> {
  const kafka = openRdKafka({ brokers, native: 'addon' })
  const admin = await kafka.openAdmin()
  const [description] = await admin.describe([topic], CALL_MS)
  await admin.close()
  if (description === undefined) throw new Error(`there is no topic ${topic}`)
  const reader = await kafka.openReader({})
  const partitions = Array.from({ length: description.partitionCount }, (_, partition) => ({ topic, partition }))
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  reader.assign(partitions.map((partition) => ({ ...partition, offset: 0 })))
  let records = 0
  let rssBytesMax = 0
  let endCount = 0
  while (records < recordCount) {
    const { batches, ends, errors } = await reader.poll(POLL)
    if (errors.length > 0) throw new Error(`reading ${topic}: ${errors[0]!.name} ${errors[0]!.message}`)
    for (const batch of batches) {
      records += batch.recordCount
      reader.recycle(batch.frame)
    }
    rssBytesMax = Math.max(rssBytesMax, process.memoryUsage.rss())
    endCount += ends.length
    if (endCount >= partitions.length && records < recordCount) {
      throw new Error(`${topic} has ${records} records, ${recordCount} were to be read`)
    }
  }
  const seconds = (performance.now() - startMs) / 1_000
  const { user, system } = process.cpuUsage(cpuBefore)
  await reader.close()
  return {
    records,
    recordsPerSecond: records / seconds,
    cpuMicrosPerRecord: (user + system) / records,
    rssBytesMax,
  }
}
