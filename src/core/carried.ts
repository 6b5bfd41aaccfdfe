// What rides with a record through a repartition topic: where it was, when it was, and how far its source partition had come.
// Runs on a lane; pure. Hot: written and read once a record that moves.
// Keeps SPEC: R1 (the watermark of a source partition goes with its records), DLQ-1 (a record says where it was).

/*
 * Before the value's own bytes, unaligned, little endian:
 *
 *   0  f64 watermark of the source partition, ms; +Infinity: it has ended
 *   8  f64 event time, ms                         (marker: the greatest one seen)
 *   16 f64 offset in the source topic             (marker: the next one)
 *   24 i32 source partition
 *   28 i32 index of the event in its envelope, -1: the record is the event
 *   32 i32 bytes of the record's first key, -1: it had none
 *   36 i32 kind: a record, a marker, a marker of an idle partition
 *   40 the first key, then the value; a marker has neither
 */
export const CARRIED_BYTES = 40
export const CARRIED_RECORD = 0
/** A source partition says how far it is, to a partition that has had no record of it. */
export const CARRIED_MARKER = 1
/** The same, of a quiet partition: it holds nobody back until it has a record again. */
export const CARRIED_IDLE = 2

/** What the prefix says; one object is reused for all records. */
export class CarriedPrefix {
  watermarkMs = 0
  eventTimeMs = 0
  offset = 0
  partition = 0
  eventIndex = 0
  keyBytes = 0
  kind = 0

  /** Reads the prefix at `at`. Throws RangeError when it is cut off: nothing but Millrace writes these topics. */
  read(view: DataView<ArrayBufferLike>, at: number, valueBytes: number): void {
    if (valueBytes < CARRIED_BYTES) throw new RangeError(`a repartitioned record has ${valueBytes} bytes`)
    this.watermarkMs = view.getFloat64(at, true)
    this.eventTimeMs = view.getFloat64(at + 8, true)
    this.offset = view.getFloat64(at + 16, true)
    this.partition = view.getInt32(at + 24, true)
    this.eventIndex = view.getInt32(at + 28, true)
    this.keyBytes = view.getInt32(at + 32, true)
    this.kind = view.getInt32(at + 36, true)
  }

  write(view: DataView<ArrayBufferLike>, at: number): void {
    view.setFloat64(at, this.watermarkMs, true)
    view.setFloat64(at + 8, this.eventTimeMs, true)
    view.setFloat64(at + 16, this.offset, true)
    view.setInt32(at + 24, this.partition, true)
    view.setInt32(at + 28, this.eventIndex, true)
    view.setInt32(at + 32, this.keyBytes, true)
    view.setInt32(at + 36, this.kind, true)
  }
}
