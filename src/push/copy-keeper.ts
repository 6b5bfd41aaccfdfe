// Keeps the copy of a view behind its rows: writes what has changed about once a second, sooner when much has, and lets the reading of
// the topic wait when the disk is slower than it. Main thread.
// Keeps SPEC: PUSH-3 (memory of a view is limited), PUSH-40 (the copy may be behind, never ahead; what goes wrong is told).

import type { Clock } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import type { Log } from '../ops/log.ts'
import type { CopiedRows } from './copied-rows.ts'
import type { Offsets } from './position-token.ts'
import type { CopyCounts } from './push-metrics.ts'
import type { ViewCopy } from './view-copy.ts'
import type { ViewStore } from './view-store.ts'

const WRITE_EVERY_MS = 1000
/** Of changes that wait for their write: more begin one, or let the reading wait for the one under way. */
const CHANGED_BYTES_MAX = 8 << 20
/**
 * The same while the topic is read for the first time. Keys in no order change a page of LMDB each, so few large writes cost less than many
 * small ones; nobody is served yet, and a copy that is not whole is of no use.
 */
const BUILDING_BYTES_MAX = 64 << 20
/** And of the memory of the view. */
const CHANGED_SHARE_MAX = 0.25
/** A copy that says that nothing was missing at a time says so again after this, though nothing has changed. */
const WHOLE_EVERY_MS = 60_000

export interface CopyKeeperOptions {
  view: string
  store: ViewStore
  rows: CopiedRows
  copy: ViewCopy
  viewBytesMax: number
  /** See CopyState. */
  openedMs: number
  wholeMs: number
  clock: Clock
  log: Log
  counts: CopyCounts
}

export class CopyKeeper {
  readonly #options: CopyKeeperOptions
  /** By partition: as of when nothing of it is missing, wall clock; 0: not read to an end yet. */
  readonly #endMs: number[]
  #writing: Promise<void> | undefined
  #writtenOffsets: Offsets
  #writtenWholeMs: number
  #writtenAtMs: number
  #filling: Promise<void> | undefined
  /** Nothing is written any more. */
  #isOver = false
  /** Called once when the view cannot be served any more. */
  onFailed: (failure: MillraceError) => void = () => undefined

  constructor(options: CopyKeeperOptions) {
    const { store, wholeMs, clock } = options
    this.#options = options
    this.#endMs = store.offsets.map(() => wholeMs)
    this.#writtenOffsets = store.offsets
    this.#writtenWholeMs = wholeMs
    this.#writtenAtMs = clock.monotonicMs()
  }

  /** All that the topic had of a partition at a time, ms since the epoch, is applied. */
  reachedEnd(partition: number, asOfMs: number): void {
    this.#endMs[partition] = asOfMs
  }

  /** After what was read is published: writes what is due. Waits for room where too much would wait for its write. */
  async turn(): Promise<void> {
    const { rows, clock, counts, viewBytesMax } = this.#options
    if (this.#isOver) return
    const isWhole = this.#wholeMs() > 0
    const bytesMax = Math.min(isWhole ? CHANGED_BYTES_MAX : BUILDING_BYTES_MAX, viewBytesMax * CHANGED_SHARE_MAX)
    const isTime = isWhole && clock.monotonicMs() - this.#writtenAtMs >= WRITE_EVERY_MS
    if (rows.changedBytes > bytesMax) {
      await this.#writing
      this.#begin()
    } else if (isTime && this.#hasNews(WHOLE_EVERY_MS)) this.#begin()
    counts.memoryBytes.set(rows.bytes)
    if (isWhole) this.#filling ??= this.#fill()
  }

  /** The view is not served any more: its copy stays as it is. */
  stop(): void {
    this.#isOver = true
  }

  /** Writes what is left and closes the copy. */
  async close(): Promise<void> {
    const isWritable = !this.#isOver
    this.#isOver = true
    await this.#filling
    await this.#writing
    if (isWritable && this.#hasNews(1)) {
      this.#isOver = false
      this.#begin()
      this.#isOver = true
      await this.#writing
    }
    await this.#options.copy.close()
  }

  /** When nothing of the topic was missing. */
  #wholeMs(): number {
    return Math.min(...this.#endMs)
  }

  #hasNews(wholeMsMin: number): boolean {
    const { store } = this.#options
    return store.offsets !== this.#writtenOffsets || this.#wholeMs() - this.#writtenWholeMs >= wholeMsMin
  }

  #begin(): void {
    if (this.#isOver || this.#writing !== undefined) return
    const { store, rows, copy, openedMs, clock, counts } = this.#options
    const wholeMs = this.#wholeMs()
    const { state, batch } = store.cut()
    const changed = [...rows.beginWrite()]
    this.#writtenOffsets = store.offsets
    this.#writtenWholeMs = wholeMs
    this.#writtenAtMs = clock.monotonicMs()
    const whole = { ...state, rowCount: rows.size, rowBytes: rows.allBytes, openedMs, wholeMs }
    const written = (): void => {
      this.#writing = undefined
      rows.endWrite(state.sequence)
      counts.rowsWritten.add(changed.length)
    }
    this.#writing = copy.write({ rows: changed, batch, state: whole }).then(written, (error) => this.#lost(error))
  }

  /** The copy is broken, and wiped. */
  #lost(error: unknown): void {
    const { view, rows, log } = this.#options
    this.#isOver = true
    this.#writing = undefined
    const reason = error instanceof Error ? error.message : String(error)
    try {
      if (!rows.giveUpCopy()) throw new MillraceError('MR7033', { view, reason }, { cause: error })
      const failure = new MillraceError('MR7034', { view, reason }, { cause: error })
      log.error({ err: failure, view }, failure.remedy)
    } catch (failure) {
      this.onFailed(failure as MillraceError)
    }
  }

  async #fill(): Promise<void> {
    try {
      await this.#options.rows.fill(() => this.#isOver)
    } catch (failure) {
      this.#isOver = true
      this.onFailed(failure as MillraceError)
    }
  }
}
