// The headers that say where a record came from: late records and dead letters carry the same. Runs on a lane.
// Keeps SPEC: DLQ-1 (a bad record is never lost, and says where it was).

import { encodeValue } from '../../codec/encode.ts'
import type { SourcePlan } from '../../job/plan.ts'
import { type Chunk, SINGLE_EVENT } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import { TOMBSTONE } from './derived.ts'
import { type HeaderBytes, headerName } from './header-bytes.ts'

const SOURCE_TOPIC = headerName('millrace-source-topic')
const SOURCE_PARTITION = headerName('millrace-source-partition')
const SOURCE_OFFSET = headerName('millrace-source-offset')
const OPERATOR = headerName('millrace-operator')
const EVENT_INDEX = headerName('millrace-event-index')

/** Where the records of a chain are from. */
export interface RecordOrigin {
  source: SourcePlan
  /** The operator that made them: they have no place in a topic. */
  madeBy: string | undefined
}

/**
 * Adds topic, partition and offset of row `row` of a chunk, and its index for an event of an envelope; of a record that an operator
 * made, the operator.
 */
export function addSource(headers: HeaderBytes, origin: RecordOrigin, chunk: Chunk, row: number, run: FrameRun): void {
  const { source, madeBy } = origin
  if (madeBy !== undefined) {
    headers.addText(OPERATOR, madeBy)
    return
  }
  // What an operator made before it moved has its place in the repartition topic alone.
  const isOwnPlace = source.origin === undefined
  const carried = isOwnPlace ? undefined : chunk.carried
  headers.addText(SOURCE_TOPIC, source.origin ?? source.topic)
  headers.addNumber(SOURCE_PARTITION, carried?.partitions[row] ?? run.task.partition)
  headers.addNumber(SOURCE_OFFSET, carried?.offsets[row] ?? run.view.offset(chunk.at[row]!))
  const eventIndex = chunk.eventIndexes[row]!
  if (eventIndex !== SINGLE_EVENT) headers.addNumber(EVENT_INDEX, eventIndex)
}

/** The key that the record of row `row` had in the source; undefined: none. A view. */
export function sourceKey(chunk: Chunk, row: number, run: FrameRun): Uint8Array | undefined {
  const { carried } = chunk
  if (carried === undefined) return run.view.key(chunk.at[row]!)
  const length = carried.keyLengths[row]!
  const start = carried.keyStarts[row]!
  return length < 0 ? undefined : run.view.bytes.subarray(start, start + length)
}

/** The value of row `row` as it came, without what it carries; undefined: none. A view, or the bytes of what an operator made. */
export function sourceValue(
  { madeBy }: RecordOrigin,
  chunk: Chunk,
  row: number,
  run: FrameRun,
): Uint8Array | undefined {
  if (madeBy !== undefined) return letterValue(chunk.objects[row])
  if (chunk.carried === undefined) return run.view.value(chunk.at[row]!)
  return run.view.bytes.subarray(chunk.starts[row]!, chunk.ends[row]!)
}

/** What a function made, as a dead letter has it; undefined: there is no row, or none that can be written. */
export function letterValue(made: unknown): Uint8Array | undefined {
  if (made === TOMBSTONE) return undefined
  try {
    return encodeValue('msgpack', made)
  } catch {
    // That it cannot be encoded is mostly why the letter is written.
    return undefined
  }
}
