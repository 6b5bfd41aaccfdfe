// The layers of one task over a backend: sealed, committed but unflushed, and what is on disk, read as one.
// Runs on a lane.
// Keeps SPEC: STATE-1 (the store never leads the committed epoch), STATE-2 (reads merge all layers),
// STATE-7 (after a failed write the store is not used again).

import { MillraceError } from '../core/errors.ts'
import type { TaskPosition } from '../core/message.ts'
import { hashBytes } from './byte-hash.ts'
import type { Backend, TaskStore } from './contract.ts'
import { compareKeys } from './keys.ts'
import { mergeLayers } from './layer-merge.ts'
import { encodeMeta, STORE_VERSION, type StoreMeta } from './meta.ts'
import { RowLayer } from './row-layer.ts'

/*
 *   sealRow ──> sealing ──sealed(E)──> sealedEpochs ──committed(E)──> unflushed ──flush──> flushing ──> backend
 *                                                        restoreRow ──────^
 *
 * A read asks them from left to right. A flush takes the whole of `unflushed` with the position of the last committed
 * epoch as one write; what is committed meanwhile goes into a fresh layer. So the backend always is one committed epoch.
 */
/** Sealing and the flush's fresh layer each want one at a time. */
const SPARE_LAYERS_MAX = 2

interface SealedEpoch {
  epoch: number
  position: TaskPosition
  layer: RowLayer
}

export interface LayeredStoreOptions {
  backend: Backend
  taskId: string
  planHash: string
  changelogTopicId: string | undefined
  /** What the backend's meta says, undefined for an empty one. */
  meta: StoreMeta | undefined
  /** Wall clock, ms since the epoch. */
  nowMs: () => number
  /**
   * While restoring, more bytes than this go to the backend. Few large writes are better than many: keys come in no order, so
   * each write touches most pages of the file. Asked again as tasks come and go.
   */
  restoreBytesMax: () => number
}

/**
 * Makes the store of a task over an opened backend. Use `openStore`, which also judges what the backend holds.
 *
 * @example
 * const store = createLayeredStore({ backend: createMemoryBackend(), taskId: '0_1', ...rest })
 */
export function createLayeredStore(options: LayeredStoreOptions): TaskStore {
  return new LayeredStore(options)
}

class LayeredStore implements TaskStore {
  readonly taskId: string
  isRestored = false
  flushedEpoch: number
  readonly #options: LayeredStoreOptions
  readonly #backend: Backend
  #sealing = new RowLayer()
  readonly #sealedEpochs: SealedEpoch[] = []
  #unflushed = new RowLayer()
  #flushing: RowLayer | undefined
  /** Cleared layers, kept for their memory. */
  readonly #spares: RowLayer[] = []
  #restoredOffset = 0
  /** The running or last write; writes follow each other. */
  #lastWrite: Promise<void> = Promise.resolve()
  #committedPosition: TaskPosition | undefined
  #failure: MillraceError | undefined
  #isClosed = false

  constructor(options: LayeredStoreOptions) {
    this.taskId = options.taskId
    this.#options = options
    this.#backend = options.backend
    this.#committedPosition = options.meta?.position
    this.flushedEpoch = options.meta?.position?.epoch ?? -1
  }

  get unflushedBytes(): number {
    return this.#unflushed.bytes
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#assertUsable()
    const hash = hashBytes(key, 0, key.length)
    for (let i = -1; ; i++) {
      const layer = this.#layerAt(i)
      if (layer === undefined) return this.#backend.get(key)
      const entry = layer.rowCount === 0 ? -1 : layer.find(key, hash)
      if (entry >= 0) return layer.value(entry)
    }
  }

  range(from: Uint8Array, to: Uint8Array): Iterable<[key: Uint8Array, value: Uint8Array]> {
    this.#assertUsable()
    return mergeLayers(this.#layers(), this.#backend, from, to)
  }

  firstKeyAtOrAfter(from: Uint8Array): Uint8Array | undefined {
    this.#assertUsable()
    let start = from
    for (;;) {
      const first = this.#firstAnyAtOrAfter(start)
      if (first === undefined) return undefined
      if (this.get(first) !== undefined) return first
      start = successorOf(first)
    }
  }

  sealRow(key: Uint8Array, value: Uint8Array | undefined): void {
    this.#sealing.set(key, value)
  }

  sealRowAt(source: Uint8Array, keyStart: number, keyBytes: number, valueBytes: number): void {
    this.#sealing.put(source, keyStart, keyBytes, source, keyStart + keyBytes, valueBytes)
  }

  sealed(epoch: number, position: TaskPosition): void {
    this.#assertUsable()
    const last = this.#sealedEpochs.at(-1)
    if (last !== undefined && last.epoch >= epoch) {
      throw new RangeError(`epoch ${epoch} of task ${this.taskId} is sealed after epoch ${last.epoch}`)
    }
    this.#sealedEpochs.push({ epoch, position, layer: this.#sealing })
    this.#sealing = this.#takeLayer()
  }

  committed(epoch: number): void {
    this.#assertUsable()
    while (this.#sealedEpochs.length > 0 && this.#sealedEpochs[0]!.epoch <= epoch) {
      const { layer, position } = this.#sealedEpochs.shift()!
      if (this.#unflushed.rowCount === 0) {
        const empty = this.#unflushed
        this.#unflushed = layer
        this.#giveLayer(empty)
      } else {
        this.#unflushed.putAll(layer)
        this.#giveLayer(layer)
      }
      this.#committedPosition = position
    }
  }

  restoreRow(key: Uint8Array, value: Uint8Array | undefined, offset: number): Promise<void> | undefined {
    this.#assertUsable()
    if (this.isRestored) throw new RangeError(`task ${this.taskId} is restored already`)
    this.#unflushed.set(key, value)
    this.#restoredOffset = offset + 1
    return this.#unflushed.bytes <= this.#options.restoreBytesMax() ? undefined : this.#flushRestored()
  }

  async writeRestored(position: TaskPosition | undefined, bytesMax: number): Promise<void> {
    while (this.#flushing !== undefined) await this.#lastWrite
    this.#assertUsable()
    if (this.#unflushed.bytes <= bytesMax) return
    await this.#write(this.#restoredOffset, this.#options.changelogTopicId, position)
  }

  restored(position: TaskPosition | undefined): void {
    this.#assertUsable()
    if (position !== undefined) this.#committedPosition = position
    this.isRestored = true
  }

  async flush(
    changelogOffset: number,
    changelogTopicId: string | undefined,
  ): Promise<{ epoch: number; rowCount: number }> {
    while (this.#flushing !== undefined) await this.#lastWrite
    this.#assertUsable()
    if (!this.isRestored) throw new RangeError(`task ${this.taskId} is not restored yet`)
    const position = this.#committedPosition
    const rowCount = this.#unflushed.rowCount
    await this.#write(changelogOffset, changelogTopicId, position)
    this.flushedEpoch = position?.epoch ?? this.flushedEpoch
    return { epoch: this.flushedEpoch, rowCount }
  }

  /** Waits for a write under way and closes the backend. Nothing is flushed. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#lastWrite.catch(() => undefined) // whoever flushed was told of a failure
    await this.#backend.close()
  }

  /**
   * The rows are ahead of the position that is stored, and their own marker is still to come. So none is stored: a start
   * after a crash reads on from here and comes to a marker, which follows the rows of its epoch.
   */
  async #flushRestored(): Promise<void> {
    while (this.#flushing !== undefined) await this.#lastWrite
    this.#assertUsable()
    await this.#write(this.#restoredOffset, this.#options.changelogTopicId, undefined)
  }

  /** Takes layer 3 and position at the same moment: what is committed from here on belongs to the next write. */
  #write(
    changelogOffset: number,
    changelogTopicId: string | undefined,
    position: TaskPosition | undefined,
  ): Promise<void> {
    const { taskId, planHash, nowMs } = this.#options
    const lastWriteMs = nowMs()
    const meta = { version: STORE_VERSION, taskId, planHash, changelogTopicId, changelogOffset, lastWriteMs, position }
    const layer = this.#unflushed
    this.#flushing = layer
    this.#unflushed = this.#takeLayer()
    this.#lastWrite = this.#writeLayer(layer, encodeMeta(meta))
    return this.#lastWrite
  }

  async #writeLayer(layer: RowLayer, meta: Uint8Array): Promise<void> {
    try {
      await this.#backend.write(this.isRestored ? layer.rows() : layer.sortedRows(), meta)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#failure = new MillraceError('MR5003', { task: this.taskId, reason }, { cause: error })
      throw this.#failure
    }
    this.#flushing = undefined
    this.#giveLayer(layer)
  }

  #firstAnyAtOrAfter(from: Uint8Array): Uint8Array | undefined {
    let first = this.#backend.firstKeyAtOrAfter(from)
    for (const layer of this.#layers()) {
      const entry = layer.firstAtOrAfter(from)
      if (entry < 0) continue
      const key = layer.key(entry)
      if (first === undefined || compareKeys(key, first) < 0) first = key
    }
    return first
  }

  /** The layers with rows, newest first. */
  #layers(): RowLayer[] {
    const layers: RowLayer[] = []
    for (let i = -1; ; i++) {
      const layer = this.#layerAt(i)
      if (layer === undefined) return layers
      if (layer.rowCount > 0) layers.push(layer)
    }
  }

  /** -1 is being sealed, then the sealed epochs from the newest on, the unflushed layer, the one being flushed. */
  #layerAt(i: number): RowLayer | undefined {
    if (i < 0) return this.#sealing
    const sealedCount = this.#sealedEpochs.length
    if (i < sealedCount) return this.#sealedEpochs[sealedCount - 1 - i]!.layer
    if (i === sealedCount) return this.#unflushed
    return i === sealedCount + 1 ? this.#flushing : undefined
  }

  #takeLayer(): RowLayer {
    return this.#spares.pop() ?? new RowLayer()
  }

  #giveLayer(layer: RowLayer): void {
    layer.clear()
    if (this.#spares.length < SPARE_LAYERS_MAX) this.#spares.push(layer)
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#isClosed) throw new Error(`the store of task ${this.taskId} is closed`)
  }
}

/** The smallest key above `key`. */
function successorOf(key: Uint8Array): Uint8Array {
  const successor = new Uint8Array(key.length + 1)
  successor.set(key)
  return successor
}
