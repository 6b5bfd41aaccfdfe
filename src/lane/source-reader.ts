// Reads source frames into chunks: scans the named fields of values, or decodes them. Hot: no object a record when the plan
// needs named fields only. Runs on a lane.
// Keeps SPEC: CODEC-1 (hostile bytes end as a status), PATH-1 (both paths fill the same columns).

import { JsonDecoder } from '../codec/json.ts'
import { MsgpackDecoder, MsgpackExtension } from '../codec/msgpack-decode.ts'
import { isArray, MsgpackGuard, readSize } from '../codec/msgpack-guard.ts'
import { MsgpackScanner } from '../codec/msgpack-scan.ts'
import { CARRIED_BYTES, CARRIED_IDLE, CARRIED_RECORD, CarriedPrefix } from '../core/carried.ts'
import type { FrameView } from '../core/frame.ts'
import type { LaneLimits } from '../core/message.ts'
import {
  DEAD_JSON,
  DEAD_NO_VALUE,
  DEAD_NOT_ARRAY,
  DEAD_NOT_MAP,
  DEAD_SCHEMA,
  DEAD_TRAILING,
  DEAD_VALUE_BYTES,
  STATUS_OK,
} from '../core/record-status.ts'
import type { SourceClocks } from '../core/source-clocks.ts'
import type { CompiledJob, SourcePlan } from '../job/plan.ts'
import { type CarriedColumns, type Chunk, SINGLE_EVENT } from './chunk.ts'
import { type JobFunction, jobFunction } from './job-function.ts'
import { SourceChecks } from './source-checks.ts'

/**
 * The reader of a lane: `begin` a frame, then `fill` chunks until it gives false.
 *
 * @example
 * reader.begin(view)
 * while (reader.fill(chunk)) run(chunk)
 */
export class SourceReader {
  readonly #source: SourcePlan
  readonly #limits: LaneLimits
  readonly #chunk: Chunk
  readonly #guard: MsgpackGuard
  readonly #scanner: MsgpackScanner
  readonly #decoder = new MsgpackDecoder()
  readonly #json: JsonDecoder
  readonly #schema: JobFunction | undefined
  readonly #checks: SourceChecks
  /** Every record is decoded when it is read: JSON, a schema, a time function, or because a test wants it. */
  readonly #isDecoded: boolean
  #view: FrameView | undefined
  /** The next record: its place in the frame, and how many are left. */
  #at = 0
  #left = 0
  #nowMs = 0
  #countMax = 0
  /** Events of the envelope being read, and the next of them. */
  readonly #eventStarts: number[] = []
  #events: unknown[] = []
  #eventCount = 0
  #nextEvent = 0
  /** Of a repartition topic: the frame's bytes for the prefixes, and the clocks that they move. */
  readonly #prefix = new CarriedPrefix()
  #bytes = new DataView(new ArrayBuffer(0))
  #clocks: SourceClocks | undefined

  /** `chunk`: the one that `fill` fills; its columns say which fields are read. */
  constructor(job: CompiledJob, source: SourcePlan, limits: LaneLimits, chunk: Chunk, isDecoded: boolean) {
    this.#source = source
    this.#limits = limits
    this.#chunk = chunk
    this.#guard = new MsgpackGuard(limits.decodeDepthMax, limits.decodeNodesMax)
    this.#scanner = new MsgpackScanner(chunk.columns, this.#guard)
    this.#json = new JsonDecoder(limits.decodeDepthMax, limits.decodeNodesMax)
    this.#schema = source.schemaFn === undefined ? undefined : jobFunction(job, source.schemaFn)
    this.#checks = new SourceChecks(job, source, limits, chunk, this)
    this.#isDecoded = isDecoded || source.format === 'json' || source.schemaFn !== undefined
    chunk.columns.bytes = this.#decoder
  }

  /** `clocks`: of the task, where the frame comes from a repartition topic; `nowMs`: the time of its records, by processing time. */
  begin(view: FrameView, clocks?: SourceClocks, nowMs = 0): void {
    this.#view = view
    this.#nowMs = nowMs
    this.#clocks = clocks
    if (clocks !== undefined) this.#bytes = new DataView(view.buffer)
    this.#at = view.firstAt
    this.#left = view.recordCount
    this.#eventCount = 0
    this.#nextEvent = 0
    this.#scanner.begin(view.bytes)
    this.#decoder.begin(view.bytes)
  }

  /** Reads the next records into the chunk, at most `countMax` of them; false when the frame has no more. */
  fill(countMax = this.#chunk.capacity): boolean {
    const chunk = this.#chunk
    chunk.reset()
    this.#countMax = countMax
    if (this.#left === 0) return false
    if (chunk.carried !== undefined) this.#collectCarried(chunk.carried)
    else if (this.#source.shape === 'envelope') this.#collectEvents()
    else if (this.#isDecoded) this.#collectDecoded()
    else this.#collectScanned()
    this.#checks.check(this.#view!, this.#nowMs)
    return true
  }

  /** The event of a row as an object; a row that was only scanned is decoded now. The free path's way from the fast one. */
  objectAt(row: number): unknown {
    const chunk = this.#chunk
    const known = chunk.objects[row]
    if (known !== undefined) return known
    const decoded = this.#decoder.value(chunk.starts[row]!, chunk.ends[row]! - chunk.starts[row]!)
    chunk.objects[row] = decoded
    return decoded
  }

  /** Hot: one pass over the frame's records, straight into the columns. */
  #collectScanned(): void {
    const chunk = this.#chunk
    const view = this.#view!
    const words = view.words
    const scanner = this.#scanner
    const bytesMax = this.#limits.valueBytesMax
    let at = this.#at
    const count = Math.min(this.#left, this.#countMax)
    for (let row = 0; row < count; row++) {
      const word = at >> 2
      const keyBytes = words[word + 1]!
      const valueBytes = words[word + 2]!
      const start = at + 32 + Math.max(keyBytes, 0)
      chunk.at[row] = at
      chunk.starts[row] = start
      chunk.ends[row] = start + valueBytes
      chunk.eventIndexes[row] = SINGLE_EVENT
      at += words[word]!
      if (valueBytes >= 0 && valueBytes <= bytesMax) {
        chunk.status[row] = scanner.scan(row, start, start + valueBytes)
      } else this.#takeSize(row, valueBytes)
    }
    this.#at = at
    this.#left -= count
    chunk.count = count
  }

  /** A record without a value, which deletes the row of a table, or one that is too large. */
  #takeSize(row: number, valueBytes: number): void {
    if (valueBytes >= 0) this.#chunk.fail(row, DEAD_VALUE_BYTES, valueBytes)
    else if (this.#source.isTable !== true) this.#chunk.fail(row, DEAD_NO_VALUE, valueBytes)
    else this.#chunk.status[row] = STATUS_OK
  }

  #collectDecoded(): void {
    const chunk = this.#chunk
    const view = this.#view!
    while (this.#left > 0 && chunk.count < this.#countMax) {
      const row = this.#placeRow(view.valueStart(this.#at), view.valueBytes(this.#at), SINGLE_EVENT)
      if (chunk.status[row] === STATUS_OK && !chunk.isTombstone(row)) this.#decodeValue(row)
      this.#nextRecord()
    }
  }

  /** Records of a repartition topic: each moves the clock of its source partition; a marker does just that. */
  #collectCarried(carried: CarriedColumns): void {
    const chunk = this.#chunk
    const view = this.#view!
    const clocks = this.#clocks!
    const prefix = this.#prefix
    while (this.#left > 0 && chunk.count < this.#countMax) {
      const start = view.valueStart(this.#at)
      const valueBytes = view.valueBytes(this.#at)
      prefix.read(this.#bytes, start, valueBytes)
      const watermarkMs = clocks.set(prefix.partition, prefix.watermarkMs, prefix.kind === CARRIED_IDLE)
      if (prefix.kind === CARRIED_RECORD) {
        const ownBytes = CARRIED_BYTES + Math.max(0, prefix.keyBytes)
        const row = this.#placeRow(start + ownBytes, valueBytes - ownBytes, prefix.eventIndex)
        chunk.timesMs[row] = prefix.eventTimeMs
        carried.watermarksMs[row] = watermarkMs
        carried.partitions[row] = prefix.partition
        carried.offsets[row] = prefix.offset
        carried.keyStarts[row] = start + CARRIED_BYTES
        carried.keyLengths[row] = prefix.keyBytes
        if (chunk.status[row] === STATUS_OK) this.#readValue(row)
      }
      this.#nextRecord()
    }
  }

  #readValue(row: number): void {
    const chunk = this.#chunk
    if (this.#isDecoded) this.#decodeValue(row)
    else chunk.status[row] = this.#scanner.scan(row, chunk.starts[row]!, chunk.ends[row]!)
  }

  #placeRow(start: number, valueBytes: number, eventIndex: number): number {
    const chunk = this.#chunk
    const row = chunk.count++
    chunk.at[row] = this.#at
    chunk.starts[row] = start
    chunk.ends[row] = start + valueBytes
    chunk.eventIndexes[row] = eventIndex
    chunk.status[row] = STATUS_OK
    if (valueBytes < 0 || valueBytes > this.#limits.valueBytesMax) this.#takeSize(row, valueBytes)
    return row
  }

  #nextRecord(): void {
    this.#at = this.#view!.nextAt(this.#at)
    this.#left--
  }

  #decodeValue(row: number): void {
    const chunk = this.#chunk
    const start = chunk.starts[row]!
    const end = chunk.ends[row]!
    const status = this.#source.format === 'json' ? this.#parseJson(row, start, end) : this.#check(row, start, end)
    if (status !== STATUS_OK) {
      chunk.fail(row, status)
      return
    }
    this.#takeObject(row, this.#source.format === 'json' ? this.#json.value : this.#decoder.value(start, end - start))
  }

  /** A schema may make a map of anything; without one a value must be a map, as for the scanner. */
  #check(row: number, start: number, end: number): number {
    return this.#schema === undefined ? this.#scanner.scan(row, start, end) : this.#walk(start, end)
  }

  #walk(start: number, end: number): number {
    const guard = this.#guard
    guard.nodeCount = 1
    const status = guard.walk(this.#view!.bytes, start, end, 1)
    return status === STATUS_OK && guard.end !== end ? DEAD_TRAILING : status
  }

  #parseJson(row: number, start: number, end: number): number {
    const status = this.#json.decode(this.#view!.bytes, start, end)
    if (status === DEAD_JSON) this.#chunk.reasons.set(row, this.#json.reason)
    return status
  }

  /** A decoded event: through the schema, then its fields into the columns. */
  #takeObject(row: number, decoded: unknown): void {
    const chunk = this.#chunk
    let value = decoded
    if (this.#schema !== undefined) {
      try {
        value = this.#schema(decoded)
      } catch (error) {
        chunk.failThrown(row, DEAD_SCHEMA, error)
        return
      }
    }
    if (!isFieldMap(value)) {
      chunk.fail(row, DEAD_NOT_MAP)
      return
    }
    chunk.objects[row] = value
    for (let field = 0; field < chunk.columns.fields.length; field++) {
      this.#takeField(field, row, value[chunk.columns.fields[field]!])
    }
  }

  /**
   * JSON.parse rounds integers beyond ±2^53 without a word; with a schema it is the schema's to judge. What is too large
   * for any number is no integer that lost digits: it is infinite, and refused as such.
   */
  #takeField(field: number, row: number, value: unknown): void {
    const { columns } = this.#chunk
    const isJson = this.#source.format === 'json' && this.#schema === undefined
    if (isJson && Number.isFinite(value) && Math.abs(value as number) > Number.MAX_SAFE_INTEGER) {
      columns.setWide(field, row, value as number)
    } else columns.setValue(field, row, value)
  }

  /** Every event of an envelope is a row; a chunk may end in the middle of an envelope. */
  #collectEvents(): void {
    const chunk = this.#chunk
    while (chunk.count < this.#countMax) {
      if (this.#nextEvent < this.#eventCount) {
        this.#takeEvent()
        if (this.#nextEvent === this.#eventCount) this.#nextRecord()
      } else {
        if (this.#left === 0) return
        this.#openEnvelope()
      }
    }
  }

  #takeEvent(): void {
    const chunk = this.#chunk
    const event = this.#nextEvent++
    if (this.#source.format === 'json') {
      const at = this.#view!.valueStart(this.#at)
      this.#takeObject(this.#placeRow(at, this.#view!.valueBytes(this.#at), event), this.#events[event])
      return
    }
    const start = this.#eventStarts[event]!
    const end = this.#eventStarts[event + 1]!
    const row = this.#placeRow(start, end - start, event)
    if (this.#isDecoded) this.#takeObject(row, this.#decoder.value(start, end - start))
    else chunk.status[row] = this.#scanner.scan(row, start, end)
  }

  /** Finds the events of the next record. An envelope that cannot be read is one dead record. */
  #openEnvelope(): void {
    const view = this.#view!
    const start = view.valueStart(this.#at)
    const valueBytes = view.valueBytes(this.#at)
    this.#nextEvent = 0
    this.#eventCount = 0
    const row = this.#placeRow(start, valueBytes, SINGLE_EVENT)
    let status = this.#chunk.status[row]!
    if (status === STATUS_OK) {
      const end = start + valueBytes
      status = this.#source.format === 'json' ? this.#openJson(row, start, end) : this.#openMsgpack(start, end)
    }
    if (status === STATUS_OK) {
      // The row was only for the case of an error; the events have rows of their own.
      this.#chunk.count--
      if (this.#eventCount === 0) this.#nextRecord()
      return
    }
    this.#chunk.status[row] = status
    this.#nextRecord()
  }

  #openJson(row: number, start: number, end: number): number {
    const status = this.#parseJson(row, start, end)
    if (status !== STATUS_OK) return status
    if (!Array.isArray(this.#json.value)) return DEAD_NOT_ARRAY
    this.#events = this.#json.value
    this.#eventCount = this.#events.length
    return STATUS_OK
  }

  #openMsgpack(start: number, end: number): number {
    const status = this.#walk(start, end)
    if (status !== STATUS_OK) return status
    const bytes = this.#view!.bytes
    const type = bytes[start]!
    if (!isArray(type)) return DEAD_NOT_ARRAY
    const sizeBytes = type === 0xdc ? 2 : type === 0xdd ? 4 : 0
    const count = sizeBytes === 0 ? type & 0x0f : readSize(bytes, start + 1, sizeBytes)
    let at = start + 1 + sizeBytes
    for (let event = 0; event < count; event++) {
      this.#eventStarts[event] = at
      this.#guard.walk(bytes, at, end, 2)
      at = this.#guard.end
      // Each event was counted with the whole already.
      this.#guard.nodeCount = 0
    }
    this.#eventStarts[count] = at
    this.#eventCount = count
    return STATUS_OK
  }
}

function isFieldMap(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  return !(
    Array.isArray(value) ||
    ArrayBuffer.isView(value) ||
    value instanceof Date ||
    value instanceof MsgpackExtension
  )
}
