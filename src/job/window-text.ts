// A window as text, for people and for the meaning of stored state.
// Runs on every thread; pure.
// Keeps SPEC: PLAN-2 (another window is another meaning, and so are panes instead of windows).

import { formatDuration } from './duration.ts'
import type { WindowPlan } from './plan.ts'

/**
 * What a window is, without offset and grace.
 *
 * @example
 * windowText({ kind: 'hopping', sizeMs: 60_000, hopMs: 1_000, offsetMs: 0, graceMs: 0, paneMs: undefined }) // 'hopping 1m by 1s'
 */
export function windowText(window: WindowPlan): string {
  switch (window.kind) {
    case 'tumbling':
      return `tumbling ${formatDuration(window.sizeMs)}`
    case 'hopping':
      return `hopping ${formatDuration(window.sizeMs)} by ${formatDuration(window.hopMs)}${panesText(window.paneMs)}`
    case 'cumulate':
      return `cumulate ${formatDuration(window.sizeMs)} by ${formatDuration(window.stepMs)}${panesText(window.paneMs)}`
    case 'calendar':
      return `calendar ${window.unit} in ${window.timeZone}`
    case 'session':
      return `session ${formatDuration(window.gapMs)}`
    case 'count':
      return countText(window)
    case 'global':
      return 'global'
    case 'sliding':
      return `sliding ${formatDuration(window.sizeMs)}`
  }
}

function countText({ sizeRecords, hopRecords, paneRecords }: Extract<WindowPlan, { kind: 'count' }>): string {
  const hop = hopRecords === sizeRecords ? '' : ` by ${hopRecords}`
  return `count ${sizeRecords}${hop}${paneRecords === undefined ? '' : ` in panes of ${paneRecords}`}`
}

function panesText(paneMs: number | undefined): string {
  return paneMs === undefined ? '' : ` in panes of ${formatDuration(paneMs)}`
}
