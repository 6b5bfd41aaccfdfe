// What `/readyz` says of a job: whether records flow and views are read, and how far a restore is. Main thread; pure.
// Keeps SPEC: OPS-1 (ready when records flow), RESTORE-1 (a restore tells how far it is).

import type { RestoreProgress } from '../engine/restore-progress.ts'
import type { Readiness, RestoreState } from '../ops/admin-http.ts'

/** What readiness asks of an engine. */
export interface ReadyEngine {
  readonly isRunning: boolean
  /** What it waits for, in words. */
  readonly status: string
}

/**
 * What is not ready yet, in words, and the numbers of a restore that is under way. `viewsStatus`: why views are not served, undefined: they
 * are.
 */
export function readiness(
  engine: ReadyEngine,
  restore: RestoreProgress | undefined,
  viewsStatus: string | undefined,
): Readiness {
  const reasons = engine.isRunning ? [] : [engine.status]
  if (viewsStatus !== undefined) reasons.push(viewsStatus)
  const isReady = reasons.length === 0
  return engine.isRunning || restore === undefined
    ? { isReady, reasons }
    : { isReady, reasons, restore: restoreState(restore) }
}

function restoreState({ tasks, rows, bytes, remainingOffsets, share, etaMs }: RestoreProgress): RestoreState {
  const etaSeconds = etaMs === undefined ? undefined : Math.ceil(etaMs / 1_000)
  return { rows, bytes, remainingOffsets, share: Math.floor(share * 1_000) / 1_000, etaSeconds, tasks }
}
