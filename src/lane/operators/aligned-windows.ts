// The windows of a plan as arithmetic. Runs on a lane; pure.
// Keeps SPEC: R2 (where windows begin and end).

import { CalendarWindows } from '../../core/calendar-windows.ts'
import { type AlignedWindows, CumulateWindows, HoppingWindows, TumblingWindows } from '../../core/window.ts'
import type { WindowPlan } from '../../job/plan.ts'
import { SLOT_COUNT } from './accumulators.ts'
import type { PaneShape } from './pane-merge.ts'
import type { RowBounds } from './result-row.ts'

/** A window that event time alone decides, and that ends. */
export type AlignedPlan = Exclude<WindowPlan, { kind: 'session' | 'sliding' | 'count' | 'global' }>

/**
 * The windows that a plan describes.
 *
 * @example
 * alignedWindows({ kind: 'hopping', sizeMs: 10, hopMs: 4, offsetMs: 0, graceMs: 0 }).firstEnd(9) // 10
 */
export function alignedWindows(window: AlignedPlan): AlignedWindows {
  switch (window.kind) {
    case 'tumbling':
      return new TumblingWindows(window.sizeMs, window.offsetMs)
    case 'hopping':
      return new HoppingWindows(window.sizeMs, window.hopMs, window.offsetMs)
    case 'cumulate':
      return new CumulateWindows(window.sizeMs, window.stepMs, window.offsetMs)
    case 'calendar':
      return new CalendarWindows(window.unit, window.timeZone, window.offsetMs)
  }
}

/** The panes that windows share; undefined where each has rows of its own. */
export function paneShape(window: AlignedPlan): PaneShape | undefined {
  if (!('paneMs' in window) || window.paneMs === undefined) return undefined
  return { paneMs: window.paneMs, offsetMs: window.offsetMs, blockMs: window.sizeMs }
}

/** Rows of a table whose windows are known by their ends. */
export function alignedBounds(windows: AlignedWindows): RowBounds {
  return {
    fill(result) {
      const { keys, row } = result
      result.endMs = keys.windowEndOf(row)
      result.startMs = windows.startOf(result.endMs)
      result.idMs = result.startMs
      result.updateRev = keys.slots[row * keys.width + SLOT_COUNT]!
    },
    lastMomentMs: (endMs) => endMs - 1,
  }
}
