// The tombstones of a reset, packed into frames, until they are produced. Main thread.
// Keeps SPEC: RESET-3 (no row survives a reset).

import { FrameWriter } from '../core/frame.ts'

/** A frame is handed to the client whole: this keeps each far below its queue. */
const FRAME_BYTES = 1 << 20

/**
 * Sink records without a value, in frames of about a megabyte.
 *
 * @example
 * tombstones.add(topicIndex, partition, key)
 * for (const frame of tombstones.takeAll()) await producer.produce(frame, topics)
 */
export class Tombstones {
  readonly #writer = new FrameWriter(1 << 16)
  #frames: ArrayBuffer[] = []
  #framesBytes = 0

  /** Bytes that wait. */
  get bytes(): number {
    return this.#framesBytes + (this.#writer.recordCount === 0 ? 0 : this.#writer.used)
  }

  add(topicIndex: number, partition: number, key: Uint8Array): void {
    this.#writer.append(topicIndex, partition, -1, key, undefined)
    if (this.#writer.used >= FRAME_BYTES) this.#endFrame()
  }

  takeAll(): ArrayBuffer[] {
    this.#endFrame()
    const frames = this.#frames
    this.#frames = []
    this.#framesBytes = 0
    return frames
  }

  #endFrame(): void {
    const frame = this.#writer.take()
    if (frame === undefined) return
    this.#frames.push(frame)
    this.#framesBytes += frame.byteLength
  }
}
