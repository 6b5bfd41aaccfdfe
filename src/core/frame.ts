// The packed frame: a batch of records in one ArrayBuffer, the only shape in which records move between threads.
// Runs on both threads (and is written by the native addon in the same layout). Hot path: no object a record.
// Keeps SPEC: FRAME-1 (what goes in comes out: keys, null values, headers, timestamps, offsets).

/*
 * Little endian. Every record starts on a multiple of 8.
 *
 *   frame header, 32 bytes
 *    0 u32 magic 'MRF1'   4 u32 recordCount   8 u32 bytes used, header included   12 i32 partition (-1: several)
 *   16 f64 nextOffset: the offset after the last record (source frames; 0 in sink frames)
 *   24 f64 high watermark of the partition when fetched, -1 when unknown (source frames)
 *
 *   record, 32 bytes and then its bytes, padded to 8
 *    0 u32 bytes of this record with header and padding (the next record starts there)
 *    4 i32 keyBytes, -1 = no key          8 i32 valueBytes, -1 = null          12 u32 headersBytes, 0 = none
 *   16 source frame: f64 offset           sink frame: u32 topic index, i32 partition (-1: by key, murmur2)
 *   24 f64 timestamp, ms since the epoch (sink frames: -1 = let the client stamp it)
 *   32 key, value, headers, back to back
 *
 *   headers: repeated { u16 nameBytes, i32 valueBytes (-1 = null), name (UTF-8), value }, unaligned
 */
export const FRAME_MAGIC = 0x3146524d
export const FRAME_HEADER_BYTES = 32
export const RECORD_HEADER_BYTES = 32
/** A frame never grows beyond this; the producer side cuts before it. */
export const FRAME_BYTES_LIMIT = 1 << 30

const textEncoder = new TextEncoder()
const NO_HEADERS = new Uint8Array(0)
const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** A header of a record, decoded. The order is kept and names may repeat, as in Kafka. */
export interface RecordHeader {
  name: string
  value: Uint8Array | undefined
}

/** One record of a source frame, decoded: for the rare paths, tools and tests. */
export interface FrameRecord {
  offset: number
  timestampMs: number
  key: Uint8Array | undefined
  value: Uint8Array | undefined
  headers: RecordHeader[]
}

/** One record of a sink frame, decoded: for the plain Kafka path, tools and tests. */
export interface SinkRecord extends Omit<FrameRecord, 'offset'> {
  topicIndex: number
  /** -1: chosen from the key by murmur2. */
  partition: number
}

/**
 * Views over a frame's bytes. The frame must not be written while they are in use.
 *
 * @example
 * const view = new FrameView(buffer)
 * for (let at = view.firstAt, i = 0; i < view.recordCount; i++, at = view.nextAt(at)) use(view.offset(at))
 */
export class FrameView {
  readonly buffer: ArrayBuffer
  readonly bytes: Uint8Array
  readonly words: Int32Array
  readonly doubles: Float64Array
  readonly firstAt = FRAME_HEADER_BYTES

  constructor(buffer: ArrayBuffer) {
    this.buffer = buffer
    this.bytes = new Uint8Array(buffer)
    this.words = new Int32Array(buffer, 0, buffer.byteLength >> 2)
    this.doubles = new Float64Array(buffer, 0, buffer.byteLength >> 3)
    if (buffer.byteLength < FRAME_HEADER_BYTES || this.words[0] !== FRAME_MAGIC) {
      throw new RangeError('not a frame: the magic is missing')
    }
  }
  get recordCount(): number {
    return this.words[1]!
  }
  get usedBytes(): number {
    return this.words[2]!
  }
  get partition(): number {
    return this.words[3]!
  }
  get nextOffset(): number {
    return this.doubles[2]!
  }
  get highWatermark(): number {
    return this.doubles[3]!
  }
  nextAt(at: number): number {
    return at + this.words[at >> 2]!
  }
  keyBytes(at: number): number {
    return this.words[(at >> 2) + 1]!
  }
  valueBytes(at: number): number {
    return this.words[(at >> 2) + 2]!
  }
  headersBytes(at: number): number {
    return this.words[(at >> 2) + 3]!
  }
  offset(at: number): number {
    return this.doubles[(at >> 3) + 2]!
  }
  topicIndex(at: number): number {
    return this.words[(at >> 2) + 4]!
  }
  sinkPartition(at: number): number {
    return this.words[(at >> 2) + 5]!
  }
  timestampMs(at: number): number {
    return this.doubles[(at >> 3) + 3]!
  }
  keyStart(at: number): number {
    return at + RECORD_HEADER_BYTES
  }
  valueStart(at: number): number {
    const keyBytes = this.words[(at >> 2) + 1]!
    return at + RECORD_HEADER_BYTES + (keyBytes > 0 ? keyBytes : 0)
  }
  headersStart(at: number): number {
    const valueBytes = this.words[(at >> 2) + 2]!
    return this.valueStart(at) + (valueBytes > 0 ? valueBytes : 0)
  }
  /** The key's bytes (a view), or undefined when the record has no key. */
  key(at: number): Uint8Array | undefined {
    const length = this.keyBytes(at)
    return length < 0 ? undefined : this.bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length)
  }
  /** The value's bytes (a view), or undefined for a null value. */
  value(at: number): Uint8Array | undefined {
    const length = this.valueBytes(at)
    const start = this.valueStart(at)
    return length < 0 ? undefined : this.bytes.subarray(start, start + length)
  }
  headers(at: number): RecordHeader[] {
    const start = this.headersStart(at)
    return decodeHeaders(this.bytes.subarray(start, start + this.headersBytes(at)))
  }
}

/** The headers of a record from their packed bytes. */
export function decodeHeaders(packed: Uint8Array): RecordHeader[] {
  const headers: RecordHeader[] = []
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength)
  for (let at = 0; at < packed.length; ) {
    const nameBytes = view.getUint16(at, true)
    const valueBytes = view.getInt32(at + 2, true)
    const nameStart = at + 6
    const valueStart = nameStart + nameBytes
    at = valueStart + Math.max(valueBytes, 0)
    if (at > packed.length) throw new RangeError('headers of a record run over their end')
    headers.push({
      name: textDecoder.decode(packed.subarray(nameStart, valueStart)),
      value: valueBytes < 0 ? undefined : packed.subarray(valueStart, at),
    })
  }
  return headers
}

/** Packs headers as frames carry them. Names longer than 65,535 bytes are refused. */
export function encodeHeaders(headers: readonly RecordHeader[]): Uint8Array {
  if (headers.length === 0) return NO_HEADERS
  const names = headers.map((header) => textEncoder.encode(header.name))
  let size = 0
  headers.forEach((header, i) => {
    if (names[i]!.length > 0xffff) throw new RangeError('a header name is longer than 65,535 bytes')
    size += 6 + names[i]!.length + (header.value?.length ?? 0)
  })
  const packed = new Uint8Array(size)
  const view = new DataView(packed.buffer)
  let at = 0
  headers.forEach((header, i) => {
    view.setUint16(at, names[i]!.length, true)
    view.setInt32(at + 2, header.value === undefined ? -1 : header.value.length, true)
    packed.set(names[i]!, at + 6)
    if (header.value !== undefined) packed.set(header.value, at + 6 + names[i]!.length)
    at += 6 + names[i]!.length + (header.value?.length ?? 0)
  })
  return packed
}

/**
 * Writes frames. One writer is reused for many frames: `take()` hands the finished frame over and starts a new one.
 * The hot way in is `begin`, then the caller writes key and value straight into `bytes`, then `end`.
 *
 * @example
 * const writer = new FrameWriter(1 << 16)
 * writer.append(topicIndex, -1, timestampMs, key, value, packedHeaders)
 * const frame = writer.take()
 */
export class FrameWriter {
  bytes: Uint8Array
  #words: Int32Array
  #doubles: Float64Array
  /** Where the next byte goes. */
  used = FRAME_HEADER_BYTES
  recordCount = 0
  readonly #initialBytes: number

  constructor(initialBytes = 1 << 14) {
    this.#initialBytes = Math.max(initialBytes, 1 << 10)
    const buffer = new ArrayBuffer(this.#initialBytes)
    this.bytes = new Uint8Array(buffer)
    this.#words = new Int32Array(buffer)
    this.#doubles = new Float64Array(buffer)
  }

  /** Makes room for `bytes` more; `this.bytes` may be another array afterwards. */
  reserve(bytes: number): void {
    const needed = this.used + bytes + 8
    if (needed <= this.bytes.length) return
    if (needed > FRAME_BYTES_LIMIT) throw new RangeError(`a frame of ${needed} bytes is over ${FRAME_BYTES_LIMIT}`)
    const buffer = new ArrayBuffer(Math.min(FRAME_BYTES_LIMIT, 2 ** Math.ceil(Math.log2(needed))))
    const grown = new Uint8Array(buffer)
    grown.set(this.bytes.subarray(0, this.used))
    this.bytes = grown
    this.#words = new Int32Array(buffer)
    this.#doubles = new Float64Array(buffer)
  }

  /** Appends a sink record. `partition` -1 chooses by key; `timestampMs` -1 lets the client stamp it. */
  append(
    topicIndex: number,
    partition: number,
    timestampMs: number,
    key: Uint8Array | undefined,
    value: Uint8Array | undefined,
    packedHeaders?: Uint8Array,
  ): void {
    const at = this.#place(timestampMs, key, value, packedHeaders)
    this.#words[(at >> 2) + 4] = topicIndex
    this.#words[(at >> 2) + 5] = partition
  }

  /** Appends a source record: what a consumer would have written. For the memory broker, the plain path and tests. */
  appendSource(
    offset: number,
    timestampMs: number,
    key: Uint8Array | undefined,
    value: Uint8Array | undefined,
    packedHeaders?: Uint8Array,
  ): void {
    const at = this.#place(timestampMs, key, value, packedHeaders)
    this.#doubles[(at >> 3) + 2] = offset
  }

  /**
   * Starts a sink record whose value the caller writes itself from `valueStart` on; nothing else may be appended until `end`.
   * Room for `valueBytesMax` is there.
   */
  begin(
    topicIndex: number,
    partition: number,
    timestampMs: number,
    key: Uint8Array,
    keyStart: number,
    keyBytes: number,
    valueBytesMax: number,
  ): number {
    this.reserve(RECORD_HEADER_BYTES + keyBytes + valueBytesMax + 8)
    const at = this.used
    const words = this.#words
    const bytes = this.bytes
    words[(at >> 2) + 1] = keyBytes
    words[(at >> 2) + 4] = topicIndex
    words[(at >> 2) + 5] = partition
    this.#doubles[(at >> 3) + 3] = timestampMs
    const start = at + RECORD_HEADER_BYTES
    for (let i = 0; i < keyBytes; i++) bytes[start + i] = key[keyStart + i]!
    return start + keyBytes
  }

  /**
   * Ends the record started by `begin`: its value ends at `valueEnd`, and `headersBytes` of packed headers, if any, were
   * written right behind it (in the room that `begin` was asked for).
   */
  end(valueStart: number, valueEnd: number, headersBytes = 0): void {
    this.#finish(this.used, valueEnd - valueStart, headersBytes, valueEnd + headersBytes)
  }

  /** Appends a copy of the record at `at` of a source frame (key, value, headers, timestamp) as a sink record. Hot. */
  appendCopy(source: FrameView, at: number, topicIndex: number, partition: number): void {
    const from = at >> 2
    const count = source.words[from]! >> 2
    this.reserve(count * 4)
    const to = this.used >> 2
    const words = this.#words
    for (let i = 0; i < count; i++) words[to + i] = source.words[from + i]!
    words[to + 4] = topicIndex
    words[to + 5] = partition
    this.used += count * 4
    this.recordCount++
  }

  #place(
    timestampMs: number,
    key: Uint8Array | undefined,
    value: Uint8Array | undefined,
    packedHeaders: Uint8Array | undefined,
  ): number {
    const headersBytes = packedHeaders?.length ?? 0
    this.reserve(RECORD_HEADER_BYTES + (key?.length ?? 0) + (value?.length ?? 0) + headersBytes + 8)
    const at = this.used
    let to = at + RECORD_HEADER_BYTES
    this.#words[(at >> 2) + 1] = key === undefined ? -1 : key.length
    this.#doubles[(at >> 3) + 3] = timestampMs
    if (key !== undefined) {
      this.bytes.set(key, to)
      to += key.length
    }
    if (value !== undefined) {
      this.bytes.set(value, to)
      to += value.length
    }
    if (headersBytes > 0) this.bytes.set(packedHeaders!, to)
    this.#finish(at, value === undefined ? -1 : value.length, headersBytes, to + headersBytes)
    return at
  }

  #finish(at: number, valueBytes: number, headersBytes: number, end: number): void {
    const next = (end + 7) & ~7
    this.#words[at >> 2] = next - at
    this.#words[(at >> 2) + 2] = valueBytes
    this.#words[(at >> 2) + 3] = headersBytes
    this.used = next
    this.recordCount++
  }

  /** The finished frame, cut to its size, and a fresh start. Undefined when nothing was appended. */
  take(partition = -1, nextOffset = 0, highWatermark = -1): ArrayBuffer | undefined {
    if (this.recordCount === 0) return undefined
    this.#words[0] = FRAME_MAGIC
    this.#words[1] = this.recordCount
    this.#words[2] = this.used
    this.#words[3] = partition
    this.#doubles[2] = nextOffset
    this.#doubles[3] = highWatermark
    const frame = this.bytes.buffer.slice(0, this.used) as ArrayBuffer
    this.used = FRAME_HEADER_BYTES
    this.recordCount = 0
    if (this.bytes.length > 4 * this.#initialBytes && frame.byteLength < this.#initialBytes) {
      this.bytes = new Uint8Array(this.#initialBytes)
      this.#words = new Int32Array(this.bytes.buffer)
      this.#doubles = new Float64Array(this.bytes.buffer)
    }
    return frame
  }
}

/** All records of a source frame, decoded; keys and values are views into the frame. */
export function sourceRecords(frame: ArrayBuffer): FrameRecord[] {
  const view = new FrameView(frame)
  const records: FrameRecord[] = []
  for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
    records.push({
      offset: view.offset(at),
      timestampMs: view.timestampMs(at),
      key: view.key(at),
      value: view.value(at),
      headers: view.headers(at),
    })
  }
  return records
}

/** All records of a sink frame, decoded; keys and values are views into the frame. */
export function sinkRecords(frame: ArrayBuffer): SinkRecord[] {
  const view = new FrameView(frame)
  const records: SinkRecord[] = []
  for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
    records.push({
      topicIndex: view.topicIndex(at),
      partition: view.sinkPartition(at),
      timestampMs: view.timestampMs(at),
      key: view.key(at),
      value: view.value(at),
      headers: view.headers(at),
    })
  }
  return records
}
