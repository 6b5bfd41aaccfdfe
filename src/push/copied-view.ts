// Opens the store of a view with its copy on disk: goes on from it, or builds it anew from the topic and says why. Main thread.
// Keeps SPEC: PUSH-40 (a restart reads what came since), PUSH-41 (a copy that cannot be trusted is not used), PUSH-42 (one process a folder).

import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import type { Log } from '../ops/log.ts'
import { lockStateDir } from '../state/state-dir.ts'
import { CopiedRows } from './copied-rows.ts'
import type { CopyIdentity, CopyMeta } from './copy-codec.ts'
import { CopyKeeper } from './copy-keeper.ts'
import { distrust, type Recalled, recall, type TopicMarks } from './copy-trust.ts'
import type { CopyCounts } from './push-metrics.ts'
import { openCopy, type ViewCopy } from './view-copy.ts'
import { ViewStore, type ViewStoreLimits } from './view-store.ts'

/** Of the memory of a view, for changes that are remembered from before the start. */
const RECALL_SHARE = 0.5

export interface CopiedViewOptions {
  /** Of all copies of this process. */
  dir: string
  identity: CopyIdentity
  marks: TopicMarks
  limits: ViewStoreLimits
  counts: CopyCounts
  clock: Clock
  log: Log
}

export interface CopiedView {
  store: ViewStore
  keeper: CopyKeeper
  /** When the topic was read from its start, by this process or one before it. */
  openedMs: number
}

/** Takes a folder of copies for this process; gives what frees it. Throws MR7030 and MR7031. */
export async function lockCopies(dir: string): Promise<() => Promise<void>> {
  try {
    const { release } = await lockStateDir(dir)
    return release
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    const { pid = 'unknown', reason = '' } = error.details
    if (error.code === 'MR5001') throw new MillraceError('MR7030', { folder: dir, pid }, { cause: error })
    throw new MillraceError('MR7031', { folder: dir, reason }, { cause: error })
  }
}

/** Throws MR7031. */
export async function openCopiedView(options: CopiedViewOptions): Promise<CopiedView> {
  const { dir, identity, marks, limits, counts, clock, log } = options
  const { view } = identity
  const { copy, known } = await openTrusted(options, join(dir, `view-${encodeURIComponent(view)}`))
  const openedMs = known?.meta.openedMs ?? clock.wallMs()
  const rows = new CopiedRows({
    view,
    copy,
    limits,
    size: known?.meta.rowCount ?? 0,
    allBytes: known?.meta.rowBytes ?? 0,
    storedSequence: known?.meta.sequence ?? 0,
    onRead: () => counts.rowsReadBack.add(1),
  })
  const recent = known?.recent ?? []
  for (const row of recent) if (!row.isRemoval) rows.restore(row)
  const store = new ViewStore(view, marks.low, limits, rows, known?.known, recent)
  rows.forgetSome = (sequence) => store.forgetSome(sequence)
  const { viewBytesMax } = limits
  const wholeMs = known?.meta.wholeMs ?? 0
  const keeper = new CopyKeeper({ view, store, rows, copy, viewBytesMax, openedMs, wholeMs, clock, log, counts })
  return { store, keeper, openedMs }
}

interface Trusted {
  copy: ViewCopy
  /** Undefined: the copy is empty. */
  known: (Recalled & { meta: CopyMeta }) | undefined
}

async function openTrusted(options: CopiedViewOptions, folder: string): Promise<Trusted> {
  const { identity, log } = options
  const { copy, meta, damage } = await openCopy(folder, identity)
  try {
    let reason = damage
    if (reason === undefined && meta !== undefined) {
      const known = tryRecall(options, copy, meta)
      if (typeof known !== 'string') {
        sayKnown(options, meta)
        return { copy, known: { ...known, meta } }
      }
      reason = known
    }
    if (reason !== undefined) {
      log.warn(
        { view: identity.view, folder, reason },
        'the copy of the view is not used, it is built anew from the topic',
      )
      await copy.wipe()
    }
    return { copy, known: undefined }
  } catch (error) {
    await copy.close()
    throw error
  }
}

/** What the copy knows, or why it is not used. */
function tryRecall(
  { identity, marks, limits, clock }: CopiedViewOptions,
  copy: ViewCopy,
  meta: CopyMeta,
): Recalled | string {
  const reason = distrust(meta, identity, marks, clock.wallMs())
  if (reason !== undefined) return reason
  try {
    const { recentRowsMax, viewBytesMax } = limits
    return recall(meta, copy.readBatches(), (key) => copy.read(key), {
      recentRowsMax,
      bytesMax: viewBytesMax * RECALL_SHARE,
    })
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'MR7032') return String(error.details.reason)
    throw error
  }
}

function sayKnown({ identity, marks, log }: CopiedViewOptions, { rowCount, offsets }: CopyMeta): void {
  const records = marks.high.reduce((sum, high, partition) => sum + high - offsets[partition]!, 0)
  log.info({ view: identity.view, rows: rowCount, records }, 'the view goes on from its copy, what came since is read')
}
