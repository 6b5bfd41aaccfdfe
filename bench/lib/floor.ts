// The floor of every end-to-end number: records fetched through the addon and counted, nothing else done with them.
// What a job needs beyond it is the job's own. Main thread; the work is on librdkafka's and the addon's threads.
import type { Reader } from '../../src/kafka/port.ts'
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
 * Reads the first `recordCount` records of a topic, all its partitions, as fast as the addon can, and counts them; with more
 * than one client, each has its share of the partitions.
 *
 * @throws when the topic has fewer records, or a poll reports an error
 * @example
 * const { recordsPerSecond } = await measureFloor(brokers, 'trades', 2_000_000)
 */
export async function measureFloor(brokers: string, topic: string, recordCount: number, clients = 1): Promise<Floor> {
  const kafka = openRdKafka({ brokers, native: 'addon' })
  const admin = await kafka.openAdmin()
  const [description] = await admin.describe([topic], CALL_MS)
  await admin.close()
  if (description === undefined) throw new Error(`there is no topic ${topic}`)
  const readers = await Promise.all(Array.from({ length: clients }, () => kafka.openReader({})))
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  const counted = { records: 0, wanted: recordCount, rssBytesMax: 0 }
  await Promise.all(
    readers.map((reader, i) => {
      const partitions = Array.from({ length: description.partitionCount }, (_, partition) => partition)
      return countAll(
        reader,
        topic,
        partitions.filter((partition) => partition % clients === i),
        counted,
      )
    }),
  )
  const { records, rssBytesMax } = counted
  const seconds = (performance.now() - startMs) / 1_000
  const { user, system } = process.cpuUsage(cpuBefore)
  await Promise.all(readers.map((reader) => reader.close()))
  return {
    records,
    recordsPerSecond: records / seconds,
    cpuMicrosPerRecord: (user + system) / records,
    rssBytesMax,
  }
}

interface Counted {
  records: number
  wanted: number
  rssBytesMax: number
}

async function countAll(reader: Reader, topic: string, partitions: number[], counted: Counted): Promise<void> {
  reader.assign(partitions.map((partition) => ({ topic, partition, offset: 0 })))
  let endCount = 0
  while (counted.records < counted.wanted && endCount < partitions.length) {
    const { batches, ends, errors } = await reader.poll(POLL)
    if (errors.length > 0) throw new Error(`reading ${topic}: ${errors[0]!.name} ${errors[0]!.message}`)
    for (const batch of batches) {
      counted.records += batch.recordCount
      reader.recycle(batch.frame)
    }
    counted.rssBytesMax = Math.max(counted.rssBytesMax, process.memoryUsage.rss())
    endCount += ends.length
  }
}
