// One partition: its records, the transactions in it, the high watermark and the last stable offset. Main thread.
// Keeps SPEC: KAFKA-1 (read committed only: nothing from an open or aborted transaction is shown).

/** The records of one transaction in one partition; they share its outcome. */
export interface Span {
  firstOffset: number
  state: 'open' | 'committed' | 'aborted'
}

export interface LogRecord {
  offset: number
  timestampMs: number
  key: Uint8Array | undefined
  value: Uint8Array | undefined
  /** Packed as frames carry them; empty for none. */
  headers: Uint8Array
  /** Grows with every record of the broker: which of two came first, whatever their partitions. */
  sequence: number
  /** Undefined: not written in a transaction. */
  span: Span | undefined
  /** A commit or abort marker: it takes an offset and no reader sees it. */
  isControl: boolean
}

export type NewRecord = Omit<LogRecord, 'offset' | 'sequence' | 'span' | 'isControl'>

const NO_BYTES = new Uint8Array(0)

/** What all logs of a broker count together. */
export interface LogLedger {
  /** Of the next record. */
  sequence: number
  /** Bytes of keys, values and headers. */
  bytes: number
}

/**
 * The log of one partition.
 *
 *   low                 stable (LSO)            high
 *    | r r r C r r A ... | o o r o r             |      C, A: markers · o: records of an open transaction
 */
export class PartitionLog {
  readonly topic: string
  readonly partition: number
  /** True once the topic is deleted: readers that still hold the log are told. */
  isDeleted = false
  #low = 0
  #records: LogRecord[] = []
  readonly #openSpans = new Set<Span>()

  readonly #ledger: LogLedger

  constructor(topic: string, partition: number, ledger: LogLedger) {
    this.topic = topic
    this.partition = partition
    this.#ledger = ledger
  }
  /** The first offset that is still there. */
  get low(): number {
    return this.#low
  }
  /** The offset that the next record gets (the high watermark: there is one replica). */
  get high(): number {
    return this.#low + this.#records.length
  }
  /** Where a read_committed reader must stop: the first offset of the oldest open transaction. */
  get stable(): number {
    let stable = this.high
    for (const span of this.#openSpans) stable = Math.min(stable, span.firstOffset)
    return stable
  }

  at(offset: number): LogRecord | undefined {
    return this.#records[offset - this.#low]
  }

  /** The first decided record whose timestamp is at or after a time; undefined when there is none. */
  offsetAtOrAfter(timestampMs: number): number | undefined {
    for (let offset = this.low; offset < this.stable; offset++) {
      const record = this.at(offset)!
      if (!record.isControl && record.timestampMs >= timestampMs) return offset
    }
    return undefined
  }

  append(record: NewRecord, span: Span | undefined): number {
    const { timestampMs, key, value, headers } = record
    const sequence = this.#ledger.sequence++
    return this.#push({ offset: this.high, timestampMs, key, value, headers, sequence, span, isControl: false })
  }

  beginSpan(): Span {
    const span: Span = { firstOffset: this.high, state: 'open' }
    this.#openSpans.add(span)
    return span
  }

  /** Writes the marker that ends a transaction here. */
  endSpan(span: Span, state: 'committed' | 'aborted', timestampMs: number): void {
    span.state = state
    this.#openSpans.delete(span)
    this.#pushControl(timestampMs, span)
  }

  /** The next record gets this offset; those between are left out, as by compaction and markers. */
  skipTo(offset: number): void {
    if (this.#records.length === 0) this.#low = Math.max(this.#low, offset)
    while (this.high < offset) this.#pushControl(0, undefined)
  }

  /** Drops the records below `offset`, as retention and DeleteRecords do. */
  deleteBefore(offset: number): void {
    const count = Math.max(0, Math.min(offset, this.high) - this.#low)
    for (const record of this.#records.splice(0, count)) this.#ledger.bytes -= bytesOf(record)
    this.#low += count
  }

  /** True for a record that a reader of the given isolation is shown. */
  isShown(record: LogRecord, readUncommitted: boolean): boolean {
    if (record.isControl) return false
    return readUncommitted || record.span === undefined || record.span.state === 'committed'
  }

  #pushControl(timestampMs: number, span: Span | undefined): void {
    const sequence = this.#ledger.sequence++
    const nothing = { key: undefined, value: undefined, headers: NO_BYTES }
    this.#push({ offset: this.high, timestampMs, ...nothing, sequence, span, isControl: true })
  }

  #push(record: LogRecord): number {
    this.#records.push(record)
    this.#ledger.bytes += bytesOf(record)
    return record.offset
  }
}

function bytesOf(record: LogRecord): number {
  return (record.key?.length ?? 0) + (record.value?.length ?? 0) + record.headers.length
}

const BATCH_HEADER_BYTES = 61
/** Attributes, differences and lengths of a record, at most. */
const LENGTHS_BYTES = 32

/** No less than `batchBytes`, and quick: a header has lengths of 6 bytes in a frame and of 10 at most in a batch. */
export function batchBytesAtMost({ key, value, headers }: NewRecord): number {
  return BATCH_HEADER_BYTES + LENGTHS_BYTES + (key?.length ?? 0) + (value?.length ?? 0) + 2 * headers.length
}

/** Bytes of a record batch that holds this record alone, uncompressed: what max.message.bytes is compared with. */
export function batchBytes(
  record: NewRecord,
  headers: readonly { name: string; value: Uint8Array | undefined }[],
): number {
  let body = 3 + varintBytes(headers.length)
  body += lengthPrefixed(record.key?.length) + lengthPrefixed(record.value?.length)
  for (const header of headers) {
    body += lengthPrefixed(Buffer.byteLength(header.name)) + lengthPrefixed(header.value?.length)
  }
  return BATCH_HEADER_BYTES + varintBytes(body) + body
}

function lengthPrefixed(length: number | undefined): number {
  return length === undefined ? 1 : varintBytes(length) + length
}

/** Bytes of a zigzag varint of a number that is not negative. */
function varintBytes(value: number): number {
  let bytes = 1
  for (let left = value * 2; left >= 128; left = Math.floor(left / 128)) bytes++
  return bytes
}
