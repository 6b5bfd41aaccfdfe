// The end of a sub-topology: records go to the partition of their new key, with what they carry. Hot.
// Runs on a lane.
// Keeps SPEC: REPART-1 (keyBy on any field), R1 (each record carries the watermark of its source partition), SIZE-1.

import { encodeValue } from '../../codec/encode.ts'
import { CARRIED_BYTES, CARRIED_IDLE, CARRIED_MARKER, CARRIED_RECORD, CarriedPrefix } from '../../core/carried.ts'
import { TAG_BIG, TAG_NUMBER, TAG_TEXT } from '../../core/columns.ts'
import type { FrameWriter } from '../../core/frame.ts'
import {
  DEAD_BIG_INTEGER,
  DEAD_FIELD,
  DEAD_FUNCTION,
  DEAD_KEY_BYTES,
  DEAD_RESULT_BYTES,
  STATUS_OK,
} from '../../core/record-status.ts'
import type { OperatorPlan, SourcePlan } from '../../job/plan.ts'
import type { ChainState } from '../chain-state.ts'
import { type Chunk, SINGLE_EVENT } from '../chunk.ts'
import type { FrameRun, ObjectSource, Step } from '../frame-run.ts'
import { MESSAGE_OVERHEAD_BYTES } from './message-size.ts'

const textEncoder = new TextEncoder()
const NO_BYTES = new Uint8Array(0)
const ASCII_MAX = 0x7f
/** Of a UTF-16 unit. */
const UTF8_BYTES_MAX = 3

export interface RepartitionOptions {
  operator: Extract<OperatorPlan, { kind: 'repartition' }>
  source: SourcePlan
  topicIndex: number
  bytesMax: number
  keyBytesMax: number
  /** Column of the key field; -1: a function made the records, and the field is looked for in them. */
  column: number
  /** Index of the key field for the texts of dead records. */
  detail: number
  objects: ObjectSource
}

export class Repartition implements Step {
  readonly #options: RepartitionOptions
  readonly #prefix = new CarriedPrefix()
  #view = new DataView<ArrayBufferLike>(new ArrayBuffer(0))
  /** Where the key of the record being written lies. */
  #keySource: Uint8Array = NO_BYTES
  #keyStart = 0
  #keyBytes = 0
  #keyRoom = new Uint8Array(1 << 8)

  constructor(options: RepartitionOptions) {
    this.#options = options
  }

  run(chunk: Chunk, run: FrameRun): void {
    const { task } = run
    const { outOfOrderMs } = this.#options.source
    for (let row = 0; row < chunk.count; row++) {
      const timeMs = chunk.timesMs[row]!
      if (timeMs > task.eventTimeMsMax) {
        task.eventTimeMsMax = timeMs
        if (timeMs - outOfOrderMs > task.watermarkMs) task.watermarkMs = timeMs - outOfOrderMs
      }
      if (chunk.status[row] === STATUS_OK && this.#findKey(chunk, row, run)) this.#write(chunk, row, run)
    }
  }

  /** The text of the key field; false when the record is dead. */
  #findKey(chunk: Chunk, row: number, run: FrameRun): boolean {
    const { column, keyBytesMax } = this.#options
    const isColumn = column >= 0 && !chunk.isChanged
    const { columns } = chunk
    const cell = column * columns.capacity + row
    if (isColumn && columns.tags[cell] === TAG_TEXT) {
      this.#keySource = run.view.bytes
      this.#keyStart = columns.starts[cell]!
      this.#keyBytes = columns.lengths[cell]!
    } else {
      const value = isColumn ? columns.valueAt(column, row) : this.#fieldOf(chunk.objects[row])
      const isWide = isColumn && (columns.tags[cell] === TAG_BIG || columns.tags[cell] === TAG_NUMBER)
      if (!this.#takeValue(chunk, row, value, isWide)) return false
    }
    if (this.#keyBytes <= keyBytesMax) return true
    chunk.fail(row, DEAD_KEY_BYTES, this.#keyBytes)
    return false
  }

  #fieldOf(object: unknown): unknown {
    return typeof object === 'object' && object !== null
      ? (object as Record<string, unknown>)[this.#options.operator.field]
      : undefined
  }

  /** A key is text or a whole number that is exact. */
  #takeValue(chunk: Chunk, row: number, value: unknown, isNumber: boolean): boolean {
    if (typeof value === 'string' || Number.isSafeInteger(value)) {
      this.#takeText(String(value))
      return true
    }
    const isInteger = typeof value === 'bigint' || (isNumber && typeof value === 'number' && Number.isInteger(value))
    chunk.fail(row, isInteger ? DEAD_BIG_INTEGER : DEAD_FIELD, this.#options.detail)
    return false
  }

  /** Into bytes that are used again. Most keys are short and ASCII. */
  #takeText(text: string): void {
    const bytesMax = text.length * UTF8_BYTES_MAX
    if (bytesMax > this.#keyRoom.length) this.#keyRoom = new Uint8Array(2 * bytesMax)
    const room = this.#keyRoom
    let length = 0
    for (let code = 0; length < text.length; length++) {
      code = text.charCodeAt(length)
      if (code > ASCII_MAX) break
      room[length] = code
    }
    this.#keySource = room
    this.#keyStart = 0
    this.#keyBytes = length === text.length ? length : textEncoder.encodeInto(text, room).written
  }

  #write(chunk: Chunk, row: number, run: FrameRun): void {
    const { view, out, task } = run
    const { topicIndex, bytesMax, operator } = this.#options
    const at = chunk.at[row]!
    const { format } = operator
    let bytes: Uint8Array
    try {
      bytes = this.#isCopied(chunk, row)
        ? view.bytes.subarray(chunk.starts[row]!, chunk.ends[row]!)
        : encodeValue(format, chunk.isChanged ? chunk.objects[row] : this.#options.objects.objectAt(row))
    } catch (error) {
      chunk.failThrown(row, DEAD_FUNCTION, error)
      return
    }
    const firstKeyBytes = view.keyBytes(at)
    const headersBytes = view.headersBytes(at)
    const ownBytes = CARRIED_BYTES + Math.max(0, firstKeyBytes)
    const room = ownBytes + bytes.length + headersBytes
    if (this.#keyBytes + room + MESSAGE_OVERHEAD_BYTES > bytesMax) {
      chunk.fail(row, DEAD_RESULT_BYTES, this.#keyBytes + room)
      chunk.reasons.set(row, operator.topic)
      return
    }
    const start = out.begin(topicIndex, -1, view.timestampMs(at), this.#keySource, this.#keyStart, this.#keyBytes, room)
    const prefix = this.#prefix
    prefix.watermarkMs = task.watermarkMs
    prefix.eventTimeMs = chunk.timesMs[row]!
    prefix.offset = view.offset(at)
    prefix.partition = task.partition
    prefix.eventIndex = chunk.eventIndexes[row]!
    prefix.keyBytes = firstKeyBytes
    prefix.kind = CARRIED_RECORD
    prefix.write(this.#viewOf(out), start)
    copy(view.bytes, view.keyStart(at), Math.max(0, firstKeyBytes), out.bytes, start + CARRIED_BYTES)
    out.bytes.set(bytes, start + ownBytes)
    const end = start + ownBytes + bytes.length
    copy(view.bytes, view.headersStart(at), headersBytes, out.bytes, end)
    out.end(start, end, headersBytes)
    task.tally.moved++
  }

  /** The bytes of the event can go on as they are, unless a function or a schema made another value of them. */
  #isCopied(chunk: Chunk, row: number): boolean {
    const { source } = this.#options
    if (chunk.isChanged || source.schemaFn !== undefined) return false
    return source.format === 'msgpack' || chunk.eventIndexes[row] === SINGLE_EVENT
  }

  #viewOf(out: FrameWriter): DataView<ArrayBufferLike> {
    if (this.#view.buffer !== out.bytes.buffer) this.#view = new DataView(out.bytes.buffer)
    return this.#view
  }

  get topic(): string {
    return this.#options.operator.topic
  }

  /** Tells every partition of the topic how far the chain has come, unless that was told before. */
  mark(task: ChainState, inputOffset: number, out: FrameWriter, partitionCount: number): void {
    if (task.watermarkMs === task.toldWatermarkMs && task.isIdle === task.isToldIdle) return
    task.toldWatermarkMs = task.watermarkMs
    task.isToldIdle = task.isIdle
    const value = new Uint8Array(CARRIED_BYTES)
    const prefix = this.#prefix
    prefix.watermarkMs = task.watermarkMs
    prefix.eventTimeMs = task.eventTimeMsMax
    prefix.offset = inputOffset
    prefix.partition = task.partition
    prefix.eventIndex = SINGLE_EVENT
    prefix.keyBytes = -1
    prefix.kind = task.isIdle ? CARRIED_IDLE : CARRIED_MARKER
    prefix.write(new DataView(value.buffer), 0)
    for (let partition = 0; partition < partitionCount; partition++) {
      out.append(this.#options.topicIndex, partition, -1, undefined, value)
    }
  }
}

function copy(from: Uint8Array, start: number, length: number, to: Uint8Array, at: number): void {
  for (let i = 0; i < length; i++) to[at + i] = from[start + i]!
}
