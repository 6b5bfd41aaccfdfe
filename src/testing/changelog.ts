// The changelog topic of a test: what the lane sealed, compacted as Kafka compacts it, to be read back at a restart.
// Test processes, main thread.

import { FrameWriter, type SinkRecord } from '../core/frame.ts'

interface ChangelogRow {
  offset: number
  key: Uint8Array
  value: Uint8Array | undefined
}

/** The newest row of each key, in the order of their offsets. */
export class Changelog {
  readonly #rows = new Map<string, ChangelogRow>()
  #nextOffset = 0

  /** Appends a row of a sealed epoch. */
  append({ key, value }: SinkRecord): void {
    if (key === undefined) throw new TypeError('a changelog row has a key')
    const name = Buffer.from(key).toString('latin1')
    // A map keeps the place of a key's first row; the newest row belongs at the end.
    this.#rows.delete(name)
    this.#rows.set(name, { offset: this.#nextOffset++, key: key.slice(), value: value?.slice() })
  }

  /** All rows as a source frame; undefined when there are none. */
  frame(): ArrayBuffer | undefined {
    const writer = new FrameWriter()
    for (const { offset, key, value } of this.#rows.values()) writer.appendSource(offset, -1, key, value)
    return writer.take(0, this.#nextOffset, this.#nextOffset)
  }
}
