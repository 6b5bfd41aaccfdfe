// From the window of a plan to the operator that keeps it: its tables, the bounds of its rows, its step.
// Runs on a lane, once for each.
// Keeps SPEC: PLAN-1 (the plan decides, nothing else).

import { GlobalWindow } from '../core/window.ts'
import type { GapFillPlan, WindowPlan } from '../job/plan.ts'
import type { TableLayout } from './chain-state.ts'
import { operatorIdOf } from './operator-id.ts'
import { type AlignedPlan, alignedBounds, alignedWindows, paneShape } from './operators/aligned-windows.ts'
import { CountAggregate } from './operators/count-aggregate.ts'
import { COUNT_SLOTS, countBounds } from './operators/count-rows.ts'
import { GapFill, KNOWN_SLOTS } from './operators/gap-fill.ts'
import { PaneAggregate } from './operators/pane-aggregate.ts'
import type { RowBounds } from './operators/result-row.ts'
import type { IdBounds } from './operators/row-headers.ts'
import { RunningAggregate } from './operators/running-aggregate.ts'
import { SessionAggregate } from './operators/session-aggregate.ts'
import { SESSION_SLOTS, sessionBounds } from './operators/session-rows.ts'
import { SENT_WINDOW_SLOTS, SlidingAggregate, slidingBounds } from './operators/sliding-aggregate.ts'
import { POINT_SLOTS } from './operators/sliding-points.ts'
import type { AggregateParts, StatefulStep } from './operators/stateful-step.ts'
import { WindowAggregate } from './operators/window-aggregate.ts'

export interface Windowing {
  /** Rows are merged: the aggregates have to be those of merged rows. */
  isMerged: boolean
  /** Undefined without a window. */
  bounds: RowBounds | undefined
  idBounds: IdBounds
  /** A row is at most this far behind the clock of its records when it goes on. */
  delayMs: number
  /** Rows of closes go on in the order of their times. */
  isOrdered: boolean
  /** The tables of an operator with this name, whose rows have `width` slots. */
  tables(name: string, width: number): TableLayout[]
  step(parts: AggregateParts): StatefulStep
}

/** How records are put into windows; undefined: a running aggregate. `gapFill`: what windows without records give. */
export function windowing(window: WindowPlan | undefined, gapFill: GapFillPlan | undefined): Windowing {
  if (window === undefined) {
    return {
      isMerged: false,
      bounds: undefined,
      idBounds: 'none',
      delayMs: 0,
      isOrdered: false,
      tables: (name, width) => [{ operator: name, operatorId: operatorIdOf(name), width, isWindowed: false }],
      step: (parts) => new RunningAggregate(parts),
    }
  }
  switch (window.kind) {
    case 'session':
      return sessions(window)
    case 'sliding':
      return slidingWindows(window)
    case 'count':
      return counted(window)
    case 'global':
      return global()
    default:
      return aligned(window, gapFill)
  }
}

function aligned(window: AlignedPlan, gapFill: GapFillPlan | undefined): Windowing {
  const windows = alignedWindows(window)
  const shape = paneShape(window)
  const { graceMs } = window
  return {
    isMerged: shape !== undefined,
    bounds: alignedBounds(windows),
    idBounds: window.kind === 'cumulate' ? 'both' : 'start',
    delayMs: graceMs,
    isOrdered: true,
    tables: (name, width) => [
      { operator: name, operatorId: operatorIdOf(name), width, isWindowed: true },
      ...(gapFill === undefined
        ? []
        : [{ operator: name, operatorId: operatorIdOf(`${name}~known`), width: KNOWN_SLOTS, isWindowed: false }]),
    ],
    step(parts) {
      if (shape !== undefined) return new PaneAggregate({ ...parts, windows, graceMs, shape })
      const filler = gapFill === undefined ? undefined : new GapFill(gapFill, parts.accumulators, parts.sinks)
      return new WindowAggregate({ ...parts, windows, graceMs, isOverlapping: 'paneMs' in window, gapFill: filler })
    },
  }
}

/** All time is one window, which the end of the input closes: its rows have no bounds. */
function global(): Windowing {
  return {
    isMerged: false,
    bounds: undefined,
    idBounds: 'none',
    delayMs: 0,
    isOrdered: false,
    tables: (name, width) => [numbered(name, width)],
    step(parts) {
      const windows = new GlobalWindow()
      return new WindowAggregate({ ...parts, windows, graceMs: 0, isOverlapping: false, gapFill: undefined })
    },
  }
}

function counted({ sizeRecords, hopRecords, paneRecords }: Extract<WindowPlan, { kind: 'count' }>): Windowing {
  const hasPanes = paneRecords !== undefined
  return {
    isMerged: hasPanes,
    bounds: countBounds,
    idBounds: 'number',
    delayMs: 0,
    isOrdered: false,
    tables: (name, width) => [numbered(name, width + COUNT_SLOTS)],
    step: (parts) => new CountAggregate({ ...parts, sizeRecords, hopRecords, hasPanes }),
  }
}

function sessions({ gapMs, graceMs }: Extract<WindowPlan, { kind: 'session' }>): Windowing {
  return {
    isMerged: true,
    bounds: sessionBounds,
    idBounds: 'start',
    delayMs: gapMs + graceMs,
    isOrdered: true,
    tables: (name, width) => [
      numbered(name, width + SESSION_SLOTS),
      { operator: name, operatorId: operatorIdOf(`${name}~deadlines`), width: 1, isWindowed: true },
    ],
    step: (parts) => new SessionAggregate({ ...parts, gapMs, graceMs }),
  }
}

function slidingWindows({ sizeMs, graceMs }: Extract<WindowPlan, { kind: 'sliding' }>): Windowing {
  return {
    isMerged: true,
    bounds: slidingBounds,
    idBounds: 'start',
    delayMs: graceMs,
    isOrdered: true,
    tables: (name, width) => [
      { operator: name, operatorId: operatorIdOf(name), width: width + POINT_SLOTS, isWindowed: true },
      { operator: name, operatorId: operatorIdOf(`${name}~sent`), width: SENT_WINDOW_SLOTS, isWindowed: true },
    ],
    step: (parts) => new SlidingAggregate({ ...parts, sizeMs, graceMs }),
  }
}

/** A table of rows by key and a number. */
function numbered(name: string, width: number): TableLayout {
  return { operator: name, operatorId: operatorIdOf(name), width, isWindowed: true, isNumbered: true }
}
