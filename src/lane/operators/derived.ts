// Records that an operator makes - rows of a join, of an aggregate, of streams that became one - on their way through the chain
// behind it: they are a chunk of a frame that is never sent. Runs on a lane.
// Keeps SPEC: COUNT-1 (each counts as expanded, and ends as any record does), R3 (each has the clock of its own place).

import { FRAME_HEADER_BYTES, FRAME_MAGIC, FrameView, RECORD_HEADER_BYTES } from '../../core/frame.ts'
import { STATUS_OK } from '../../core/record-status.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState } from '../chain-state.ts'
import { Chunk, SINGLE_EVENT } from '../chunk.ts'
import type { FrameRun, Step } from '../frame-run.ts'

const NO_BYTES = new Uint8Array(0)
/** Of records without a place in a topic. */
const NO_OFFSET = -1

/** In place of the row of a table that is no more. */
export const TOMBSTONE = Symbol('no row')

/** Where the key of a record is, or its headers. */
export interface ByteRange {
  bytes: Uint8Array
  start: number
  /** -1: there is none. */
  length: number
}

/** Nothing yet: whoever writes records fills one of these again and again. */
export function noBytes(): ByteRange {
  return { bytes: NO_BYTES, start: 0, length: -1 }
}

/** Sets a range to the key of a record. */
export function toRecordKey(range: ByteRange, chunk: Chunk, row: number, { view }: FrameRun): void {
  const at = chunk.at[row]!
  range.bytes = view.bytes
  range.start = view.keyStart(at)
  range.length = view.keyBytes(at)
}

/** Sets a range to a key of a table. */
export function toTableKey(range: ByteRange, table: SlabTable, keyId: number): void {
  range.bytes = table.keyArena
  range.start = table.keyStart(keyId)
  range.length = table.keyBytes(keyId)
}

export class Derived {
  /** The records that wait. Their values are objects. */
  readonly chunk = new Chunk([], true)
  /** All that follows. */
  steps: readonly Step[] = []
  #view = emptyFrame(1 << 14)
  #used = FRAME_HEADER_BYTES

  /** Adds a record of the chain that `state` is of; what waits goes on when there is no more room. */
  add(
    run: FrameRun,
    state: ChainState,
    key: ByteRange,
    timeMs: number,
    watermarkMs: number,
    object: unknown,
    headers: ByteRange | undefined = undefined,
    isRetracted = false,
  ): void {
    const { chunk } = this
    if (chunk.count === chunk.capacity) this.flush(run, state)
    const row = chunk.count++
    const at = this.#place(key, headers, timeMs)
    chunk.at[row] = at
    chunk.starts[row] = at
    chunk.ends[row] = at
    chunk.eventIndexes[row] = SINGLE_EVENT
    chunk.status[row] = STATUS_OK
    chunk.timesMs[row] = timeMs
    chunk.objects[row] = object
    const carried = chunk.carried!
    carried.watermarksMs[row] = watermarkMs
    carried.partitions[row] = state.partition
    carried.offsets[row] = NO_OFFSET
    carried.keyStarts[row] = at + RECORD_HEADER_BYTES
    carried.keyLengths[row] = key.length
    carried.isRetracted[row] = isRetracted ? 1 : 0
    state.tally.counts.expanded++
  }

  /** Sends what waits through the chain. */
  flush(run: FrameRun, state: ChainState): void {
    const { chunk } = this
    if (chunk.count === 0) return
    chunk.isChanged = true
    const own: FrameRun = { task: state, view: this.#view, out: run.out, samplesMs: run.samplesMs }
    for (const step of this.steps) step.run(chunk, own)
    this.clear()
  }

  /** Lets go of what waits: the request that it is of has failed. */
  clear(): void {
    this.chunk.reset()
    this.#used = FRAME_HEADER_BYTES
  }

  #place(key: ByteRange, headers: ByteRange | undefined, timeMs: number): number {
    const keyBytes = Math.max(0, key.length)
    const headersBytes = headers?.length ?? 0
    const at = this.#used
    const next = (at + RECORD_HEADER_BYTES + keyBytes + headersBytes + 7) & ~7
    if (next > this.#view.bytes.length) this.#grow(next)
    const { words, doubles, bytes } = this.#view
    words[at >> 2] = next - at
    words[(at >> 2) + 1] = key.length
    words[(at >> 2) + 2] = 0
    words[(at >> 2) + 3] = headersBytes
    doubles[(at >> 3) + 2] = NO_OFFSET
    doubles[(at >> 3) + 3] = timeMs
    const start = at + RECORD_HEADER_BYTES
    for (let i = 0; i < keyBytes; i++) bytes[start + i] = key.bytes[key.start + i]!
    for (let i = 0; i < headersBytes; i++) bytes[start + keyBytes + i] = headers!.bytes[headers!.start + i]!
    this.#used = next
    return at
  }

  #grow(bytes: number): void {
    const grown = emptyFrame(bytes * 2)
    grown.bytes.set(this.#view.bytes.subarray(0, this.#used))
    this.#view = grown
  }
}

function emptyFrame(bytes: number): FrameView {
  const buffer = new ArrayBuffer((bytes + 7) & ~7)
  new Int32Array(buffer)[0] = FRAME_MAGIC
  return new FrameView(buffer)
}
