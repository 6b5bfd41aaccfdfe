// The headers that say where a record came from: late records and dead letters carry the same. Runs on a lane.
// Keeps SPEC: DLQ-1 (a bad record is never lost, and says where it was).

import { type Chunk, SINGLE_EVENT } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import { type HeaderBytes, headerName } from './header-bytes.ts'

const SOURCE_TOPIC = headerName('millrace-source-topic')
const SOURCE_PARTITION = headerName('millrace-source-partition')
const SOURCE_OFFSET = headerName('millrace-source-offset')
const EVENT_INDEX = headerName('millrace-event-index')

/** Adds topic, partition and offset of row `row` of a chunk, and its index for an event of an envelope. */
export function addSource(headers: HeaderBytes, topic: string, chunk: Chunk, row: number, run: FrameRun): void {
  headers.addText(SOURCE_TOPIC, topic)
  headers.addNumber(SOURCE_PARTITION, run.task.partition)
  headers.addNumber(SOURCE_OFFSET, run.view.offset(chunk.at[row]!))
  const eventIndex = chunk.eventIndexes[row]!
  if (eventIndex !== SINGLE_EVENT) headers.addNumber(EVENT_INDEX, eventIndex)
}
