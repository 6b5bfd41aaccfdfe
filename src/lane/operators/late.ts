// Late records: as they came, with headers that say for which window, at which watermark and by how much.
// Runs on a lane; the rare path.
// Keeps SPEC: R6 (late is a stream of its own, with window, watermark and lateness), WIN-9 (no bounds where there are none).

import { encodeValue } from '../../codec/encode.ts'
import { DEAD_FUNCTION, DEAD_RESULT_BYTES } from '../../core/record-status.ts'
import { ENDLESS_MS, latenessMs } from '../../core/window.ts'
import type { PlanTopics } from '../../job/plan.ts'
import { type Chunk, SINGLE_EVENT } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import { TOMBSTONE } from './derived.ts'
import { HeaderBytes, headerName } from './header-bytes.ts'
import { MESSAGE_OVERHEAD_BYTES, messageBytesMaxOf } from './message-size.ts'
import { addSource, type RecordOrigin, sourceKey } from './source-headers.ts'

const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

const WINDOW_START = headerName('millrace-late-window-start')
const WINDOW_END = headerName('millrace-late-window-end')
const WATERMARK = headerName('millrace-late-watermark')
const LATE_BY = headerName('millrace-late-by')

/** Writes the late records of a windowed operator to its late topic. */
export class LateRecords {
  readonly #origin: RecordOrigin
  readonly #topic: string
  readonly #topicIndex: number
  readonly #bytesMax: number
  readonly #headers = new HeaderBytes()

  constructor(origin: RecordOrigin, topics: PlanTopics, operator: string, messageBytesMax: readonly number[]) {
    this.#origin = origin
    this.#topicIndex = topics.byOperator[operator]!
    this.#topic = topics.names[this.#topicIndex]!
    this.#bytesMax = messageBytesMaxOf(messageBytesMax, this.#topicIndex)
  }

  /**
   * Writes row `row` of a chunk, too late for the window [startMs, endMs), which is not told where it ends with the input
   * (ENDLESS_MS). Of an envelope just the event. What is too large for the late topic becomes dead (MR2010).
   */
  write(
    chunk: Chunk,
    row: number,
    run: FrameRun,
    startMs: number,
    endMs: number,
    graceMs: number,
    watermarkMs: number,
  ): void {
    const { view } = run
    const at = chunk.at[row]!
    const headers = this.#headers
    headers.clear()
    if (endMs !== ENDLESS_MS) {
      headers.addNumber(WINDOW_START, startMs)
      headers.addNumber(WINDOW_END, endMs)
    }
    headers.addNumber(WATERMARK, watermarkMs)
    headers.addNumber(LATE_BY, latenessMs(endMs, graceMs, watermarkMs))
    addSource(headers, this.#origin, chunk, row, run)
    headers.addPacked(view.bytes, view.headersStart(at), view.headersBytes(at))
    const key = sourceKey(chunk, row, run)
    let value: Uint8Array | undefined
    try {
      value = this.#value(chunk, row, run)
    } catch (error) {
      chunk.failThrown(row, DEAD_FUNCTION, error)
      return
    }
    const bytes = (key?.length ?? 0) + (value?.length ?? 0) + headers.length
    if (bytes + MESSAGE_OVERHEAD_BYTES > this.#bytesMax) {
      // Its own headers and ours do not fit: a record never stops a job, so this one is dead.
      chunk.fail(row, DEAD_RESULT_BYTES, bytes)
      chunk.reasons.set(row, this.#topic)
      return
    }
    run.out.append(this.#topicIndex, -1, view.timestampMs(at), key, value, headers.packed())
  }

  /** Undefined: it deletes the row of a table. Throws what the encoder throws on what a function made. */
  #value(chunk: Chunk, row: number, run: FrameRun): Uint8Array | undefined {
    const { source, madeBy } = this.#origin
    if (madeBy !== undefined) {
      const made = chunk.objects[row]
      return made === TOMBSTONE ? undefined : encodeValue('msgpack', made)
    }
    if (chunk.isTombstone(row)) return undefined
    const eventIndex = chunk.eventIndexes[row]!
    const value = run.view.bytes.subarray(chunk.starts[row]!, chunk.ends[row]!)
    const hasBytes = eventIndex === SINGLE_EVENT || chunk.carried !== undefined
    if (hasBytes || source.format === 'msgpack') return value
    // An event of a JSON envelope has no bytes of its own. The envelope was read before, so it can be read again.
    const events = JSON.parse(textDecoder.decode(value)) as unknown[]
    return encodeValue('json', events[eventIndex])
  }
}
