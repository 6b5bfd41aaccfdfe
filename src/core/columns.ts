// Columns: the fields of a chunk of records as typed arrays, one slot a (field, record). Hot: no object a record.
// Runs on a lane; pure. Filled from bytes by the scanner or from decoded objects; aggregates and filters read them.
// Keeps SPEC: PATH-1 (the fast and the free path fill the same columns).

/** The record has no such field. */
export const TAG_MISSING = 0
/** A number, in `values` (NaN and infinities included). */
export const TAG_NUMBER = 1
/** Text: its UTF-8 bytes are at `starts`, `lengths` of the chunk's bytes. */
export const TAG_TEXT = 2
/** An integer outside ±2^53; encoded at `starts`, or decoded in `objects` where `lengths` is 0. */
export const TAG_BIG = 3
/** Any other value, encoded at `starts`, `lengths`, decoded when asked for. */
export const TAG_OTHER = 4
/** A value that is already decoded, in `objects`. */
export const TAG_OBJECT = 5

/** Decodes what a column only points at. */
export interface ColumnBytes {
  text(start: number, length: number): string
  value(start: number, length: number): unknown
}

/**
 * Field f of row r is at `f * capacity + r` of each array. `values` is NaN wherever the tag is not TAG_NUMBER, so one
 * comparison tells a usable number.
 *
 * @example
 * const columns = new Columns(['price', 'qty'], 4096)
 * const prices = columns.valuesOf(0)
 */
export class Columns {
  readonly fields: readonly string[]
  readonly capacity: number
  readonly tags: Uint8Array
  readonly values: Float64Array
  readonly starts: Int32Array
  readonly lengths: Int32Array
  readonly objects: unknown[] = []
  /** Who can decode text and other values of the chunk; set when bytes fill the columns. */
  bytes: ColumnBytes | undefined = undefined

  constructor(fields: readonly string[], capacity: number) {
    const size = Math.max(1, fields.length) * capacity
    this.fields = fields
    this.capacity = capacity
    this.tags = new Uint8Array(size)
    this.values = new Float64Array(size)
    this.starts = new Int32Array(size)
    this.lengths = new Int32Array(size)
  }

  /** The numbers of one field, by row: a view that lives as long as the columns. */
  valuesOf(field: number): Float64Array {
    return this.values.subarray(field * this.capacity, (field + 1) * this.capacity)
  }

  tagsOf(field: number): Uint8Array {
    return this.tags.subarray(field * this.capacity, (field + 1) * this.capacity)
  }

  /** Forgets the first `count` rows: every field is missing. */
  clear(count: number): void {
    for (let field = 0; field < this.fields.length; field++) {
      const at = field * this.capacity
      this.tags.fill(TAG_MISSING, at, at + count)
    }
    if (this.objects.length > 0) this.objects.length = 0
  }

  /** The value of a field as JavaScript knows it; undefined when it is missing. */
  valueAt(field: number, row: number): unknown {
    const at = field * this.capacity + row
    switch (this.tags[at]) {
      case TAG_NUMBER:
        return this.values[at]
      case TAG_TEXT:
        return this.bytes!.text(this.starts[at]!, this.lengths[at]!)
      case TAG_BIG:
        return this.lengths[at] === 0 ? this.objects[at] : this.bytes!.value(this.starts[at]!, this.lengths[at]!)
      case TAG_OTHER:
        return this.bytes!.value(this.starts[at]!, this.lengths[at]!)
      case TAG_OBJECT:
        return this.objects[at]
      default:
        return undefined
    }
  }

  /** Takes a field from a decoded value. Functions (inherited methods) do not count as fields. */
  setValue(field: number, row: number, value: unknown): void {
    const at = field * this.capacity + row
    if (typeof value === 'number') {
      this.tags[at] = TAG_NUMBER
      this.values[at] = value
      return
    }
    this.values[at] = Number.NaN
    if (value === undefined || typeof value === 'function') {
      this.tags[at] = TAG_MISSING
      return
    }
    if (typeof value === 'bigint') this.setWide(field, row, value)
    else {
      this.tags[at] = TAG_OBJECT
      this.objects[at] = value
    }
  }

  /** Takes an integer that is no exact number: a bigint, or what a decoder made of too many digits. */
  setWide(field: number, row: number, value: number | bigint): void {
    const at = field * this.capacity + row
    this.tags[at] = TAG_BIG
    this.values[at] = Number.NaN
    this.lengths[at] = 0
    this.objects[at] = value
  }
}
