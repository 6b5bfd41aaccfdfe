// Opens the store of a task and judges what it holds: usable, or of another life and wiped. Runs on a lane.
// Keeps SPEC: STATE-5 (a store of another plan, task, changelog or time is wiped), STATE-6 (damage is never read as state).

import { MillraceError } from '../core/errors.ts'
import type { StoredTask } from '../core/message.ts'
import type { Backend, OpenedStore } from './contract.ts'
import { createLayeredStore } from './layered-store.ts'
import { openLmdbBackend, wipeLmdbFolder } from './lmdb-backend.ts'
import { createMemoryBackend } from './memory-backend.ts'
import { decodeMeta, type StoreMeta } from './meta.ts'

/** Half of `delete.retention.ms` of our changelogs (7 days): an older store may have missed tombstones. */
export const STORE_AGE_MS_MAX = 3.5 * 24 * 3_600_000

export interface OpenStoreOptions {
  /** The task's own folder; undefined keeps the state in memory. */
  folder: string | undefined
  taskId: string
  planHash: string
  changelogTopicId: string | undefined
  /** Log start offset of the changelog. */
  changelogLow: number
  /** End of the changelog; undefined: not checked. */
  changelogHigh?: number | undefined
  /** Wall clock, ms since the epoch. */
  nowMs: () => number
  /** Bytes of a restore that may wait for their write. */
  restoreBytesMax: () => number
}

/** Why a store cannot be used, or undefined when it can. Pure. */
export function wipeReason(
  meta: StoreMeta,
  options: Omit<OpenStoreOptions, 'folder' | 'restoreBytesMax'>,
): string | undefined {
  if (meta.taskId !== options.taskId) return `it is of task ${meta.taskId}, not ${options.taskId}`
  if (meta.planHash !== options.planHash) return `it is of plan ${meta.planHash}, not ${options.planHash}`
  if (meta.changelogTopicId !== options.changelogTopicId) {
    return `it is of changelog ${meta.changelogTopicId ?? 'none'}, not ${options.changelogTopicId ?? 'none'}`
  }
  if (meta.changelogOffset < options.changelogLow) {
    return `it stopped at changelog offset ${meta.changelogOffset}, before the log's start ${options.changelogLow}`
  }
  if (options.changelogHigh !== undefined && meta.changelogOffset > options.changelogHigh) {
    return `it stopped at changelog offset ${meta.changelogOffset}, beyond the log's end ${options.changelogHigh}`
  }
  const ageMs = options.nowMs() - meta.lastWriteMs
  if (ageMs > STORE_AGE_MS_MAX) return `it was last written ${ageMs} ms ago, over ${STORE_AGE_MS_MAX}`
  return undefined
}

/**
 * Opens the store of a task. A store that is damaged or of another life is wiped: then it is empty, `stored.wiped` says
 * why, and the changelog is read from its start.
 *
 * @throws MillraceError MR5005 when the folder cannot be used
 * @example
 * const { store, stored } = await openStore({ folder: '/state/candles/0_3', taskId: '0_3', ...rest })
 */
export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const { backend, damage } = await openBackend(options)
  const bytes = backend.meta()
  const found = bytes === undefined ? undefined : decodeMeta(bytes)
  let wiped = damage
  if (wiped === undefined && bytes !== undefined) {
    wiped = found === undefined ? 'its meta record cannot be read' : wipeReason(found, options)
  }
  if (wiped !== undefined) await backend.wipe()
  const meta = wiped === undefined ? found : undefined
  const { taskId, planHash, changelogTopicId, nowMs, restoreBytesMax } = options
  const store = createLayeredStore({ backend, taskId, planHash, changelogTopicId, meta, nowMs, restoreBytesMax })
  const stored: StoredTask = {
    position: meta?.position,
    changelogOffset: meta?.changelogOffset ?? options.changelogLow,
    wiped,
  }
  return { store, stored }
}

async function openBackend(options: OpenStoreOptions): Promise<{ backend: Backend; damage: string | undefined }> {
  const { folder, taskId } = options
  if (folder === undefined) return { backend: createMemoryBackend(), damage: undefined }
  try {
    return { backend: await openLmdbBackend({ folder, taskId }), damage: undefined }
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'MR5002') throw error
    wipeLmdbFolder(folder)
    return { backend: await openLmdbBackend({ folder, taskId }), damage: String(error.details.reason) }
  }
}
