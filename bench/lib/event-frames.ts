// The frames of events that the queries of Nexmark read: all of them read the same ones. Main thread.
import { pack } from 'msgpackr'
import type { NexmarkEvents } from '../../examples/nexmark/generator.ts'
import { FrameWriter } from '../../src/core/frame.ts'

/** So many events are a frame. */
export const FRAME_EVENTS = 5_000
const WRITER_BYTES = 1 << 20
/** Frames are kept up to here; those beyond are made anew each time. */
const KEPT_BYTES_MAX = 1 << 30

/**
 * @example
 * const frames = new EventFrames(nexmarkEvents({ seed: 1, count: 12_000 }))
 * frames.count // 3
 * frames.at(2) // the last 2,000 events
 */
export class EventFrames {
  readonly events: NexmarkEvents
  readonly count: number
  readonly #kept: ArrayBuffer[] = []
  #keptBytes = 0

  constructor(events: NexmarkEvents) {
    this.events = events
    this.count = Math.ceil(events.count / FRAME_EVENTS)
  }

  /** A copy of its own for whoever reads it. */
  at(index: number): ArrayBuffer {
    const kept = this.#kept[index]
    if (kept !== undefined) return kept.slice(0)
    const frame = this.#make(index)
    if (index === this.#kept.length && this.#keptBytes + frame.byteLength <= KEPT_BYTES_MAX) {
      this.#kept.push(frame.slice(0))
      this.#keptBytes += frame.byteLength
    }
    return frame
  }

  #make(index: number): ArrayBuffer {
    const { events } = this
    const writer = new FrameWriter(WRITER_BYTES)
    const to = Math.min(events.count, (index + 1) * FRAME_EVENTS)
    for (let i = index * FRAME_EVENTS; i < to; i++) {
      const event = events.at(i)
      writer.appendSource(i, event.dateTime, undefined, pack(event))
    }
    return writer.take(0, to, events.count)!
  }
}
