// Restoring a task: rows of its changelog into its store, markers read on the way.
// Runs on a lane.
// Keeps SPEC: LANE-4 (a restart begins where the last marker says), PLAN-2 (a changed meaning is refused), RESTORE-3 (rows of
// a restore wait within the memory for state).

import { MillraceError } from '../core/errors.ts'
import { FrameView } from '../core/frame.ts'
import type { LaneLimits, TaskPosition } from '../core/message.ts'
import type { TaskStore } from '../state/contract.ts'
import { isMarkerKey, readOperatorId } from '../state/keys.ts'
import { decodeMarker } from './marker.ts'

/** A write of a restore: 16 MB cost twice the CPU of 32 (1.5 million rows of 162 bytes in one task), more brings little. */
const RESTORE_BYTES_MAX = 64 << 20

/**
 * Bytes of a task's restored rows that may wait for their write. The memory for state is free while state is restored: half of
 * it is for what waits on all tasks, half for what is being written.
 */
export function restoreBytesMax(
  { stateMemoryBytesMax, unflushedBytesMax }: Pick<LaneLimits, 'stateMemoryBytesMax' | 'unflushedBytesMax'>,
  taskCount: number,
): number {
  const share = stateMemoryBytesMax / 2 / Math.max(1, taskCount)
  return Math.max(unflushedBytesMax, Math.min(RESTORE_BYTES_MAX, share))
}

/**
 * One task's restore, from `open` to `ready`.
 *
 * @example
 * const restore = new Restore(store, [{ operatorId }], stored.position)
 * await restore.take(frame)
 * restore.position
 */
export class Restore {
  readonly #store: TaskStore
  readonly #operatorIds: ReadonlySet<number>
  /** The last marker so far. */
  position: TaskPosition | undefined
  rowCount = 0
  /** Bytes of keys and values of these rows. */
  byteCount = 0
  /** Rows of this plan's operator were seen: its name is an old one. */
  hasOwnRows = false

  /** `tables`: those of the plan; rows of others are left alone. */
  constructor(store: TaskStore, tables: readonly { operatorId: number }[], position: TaskPosition | undefined) {
    this.#store = store
    this.#operatorIds = new Set(tables.map(({ operatorId }) => operatorId))
    this.position = position
  }

  /** Takes the rows of a changelog frame, in order. */
  async take(frame: ArrayBuffer): Promise<void> {
    const view = new FrameView(frame)
    for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
      const key = view.key(at)
      if (key === undefined || key.length < 2) continue
      if (isMarkerKey(key)) this.#takeMarker(view, at)
      else {
        // Rows of operators that the plan does not have are left alone; rows and markers are stored in order.
        const wait = this.#operatorIds.has(readOperatorId(key)) ? this.#takeRow(view, at, key) : undefined
        if (wait !== undefined) await wait
      }
    }
  }

  #takeMarker(view: FrameView, at: number): void {
    const value = view.value(at)
    const position = value === undefined ? undefined : decodeMarker(value)
    if (position === undefined) {
      const reason = `the changelog marker at offset ${view.offset(at)} cannot be read`
      throw new MillraceError('MR5002', { task: this.#store.taskId, reason })
    }
    this.position = position
  }

  #takeRow(view: FrameView, at: number, key: Uint8Array): Promise<void> | undefined {
    const value = view.value(at)
    if (value !== undefined) this.hasOwnRows = true
    this.rowCount++
    this.byteCount += key.length + (value?.length ?? 0)
    return this.#store.restoreRow(key, value, view.offset(at))
  }
}
