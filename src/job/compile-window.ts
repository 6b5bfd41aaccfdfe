// The compiler's part for windows.
// Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), R2 (window sizes), WIN-8 (which of them share panes).

import { CALENDAR_UNITS, type CalendarUnit, UNIT_MS_MIN } from '../core/calendar-unit.ts'
import { type Findings, show } from './checks.ts'
import { formatDuration, parseDuration } from './duration.ts'
import type { AggregatePlan, GapFillPlan, GapValue, OperatorPlan, WindowPlan } from './plan.ts'

/** More windows than this around one time are a slip of the pen: each of them is a row a key. */
export const OVERLAP_MAX = 10_000
/** Sessions of a key that may be open at a time: each record is held against all of them. */
const SESSIONS_MAX = 1_000

const GAP_VALUES = ['null', 'zero', 'last'] as const satisfies readonly GapValue[]
const CALENDAR_FIELDS = ['kind', 'unit', 'timeZone', 'offset', 'grace']

/** What one description of a window was given, with what is wrong noted under its name. */
class Given {
  readonly found: Findings
  readonly where: string
  readonly #values: Record<string, unknown>

  constructor(found: Findings, where: string, values: Record<string, unknown>) {
    this.found = found
    this.where = where
    this.#values = values
  }
  text(name: string): string {
    return show(this.#values[name])
  }
  /** A duration that has to be there, at least 1 ms. */
  ms(name: string): number {
    const value = this.#values[name]
    if (value === undefined) this.found.add(`${this.where}: the ${name} is missing`)
    return this.found.durationMs(`${this.where}: ${name}`, value, 1, 1)
  }
  /** A number of records, at least 1. */
  records(name: string): number {
    const value = this.#values[name]
    if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number
    this.add(`${name} must be a whole number of records, at least 1, not ${this.text(name)}`)
    return 1
  }
  add(problem: string): void {
    this.found.add(`${this.where}: ${problem}`)
  }
  graceMs(): number {
    return this.found.durationMs(`${this.where}: grace`, this.#values.grace, 0)
  }
  /** How far all windows are moved: less than what they repeat after. */
  offsetMs(name: string, repeatMs: number): number {
    const offsetMs = this.found.durationMs(`${this.where}: offset`, this.#values.offset, 0)
    if (offsetMs > 0 && offsetMs >= repeatMs && this.#isDuration(name)) {
      this.found.add(`${this.where}: offset ${this.text('offset')} must be shorter than the ${name} ${this.text(name)}`)
    }
    return offsetMs
  }
  unit(): CalendarUnit {
    const { unit } = this.#values
    this.found.options(this.where, this.#values, CALENDAR_FIELDS)
    if (unit === undefined) this.found.add(`${this.where}: the unit is missing`)
    return this.found.oneOf(`${this.where}: unit`, unit, CALENDAR_UNITS, 'year')
  }
  timeZone(): string {
    return this.found.timeZone(`${this.where}: timeZone`, this.#values.timeZone)
  }
  /** How far the units of a calendar are moved, by the wall clock: less than the shortest of them. */
  unitOffsetMs(unit: CalendarUnit): number {
    const offsetMs = this.found.durationMs(`${this.where}: offset`, this.#values.offset, 0)
    const shortestMs = UNIT_MS_MIN[unit]
    if (offsetMs >= shortestMs) {
      const shortest = formatDuration(shortestMs)
      this.found.add(
        `${this.where}: offset ${this.text('offset')} must be shorter than the shortest ${unit}, ${shortest}`,
      )
    }
    return offsetMs
  }
  /** Says what is wrong with two durations, unless one of them is none at all. */
  addAbout(names: readonly string[], problem: string): void {
    if (names.every((name) => this.#isDuration(name))) this.found.add(`${this.where}: ${problem}`)
  }
  #isDuration(name: string): boolean {
    return parseDuration(this.#values[name]) !== undefined
  }
}

const WINDOWS: Record<string, (given: Given) => WindowPlan> = {
  tumbling(given) {
    const sizeMs = given.ms('size')
    return { kind: 'tumbling', sizeMs, offsetMs: given.offsetMs('size', sizeMs), graceMs: given.graceMs() }
  },
  hopping(given) {
    const sizeMs = given.ms('size')
    const hopMs = given.ms('hop')
    if (hopMs > sizeMs) {
      const why = 'records between two windows would be in none'
      given.addAbout(['size', 'hop'], `hop ${given.text('hop')} is longer than the size ${given.text('size')}: ${why}`)
    }
    checkOverlap(given, 'hop', sizeMs / hopMs)
    const paneMs = greatestCommonDivisor(sizeMs, hopMs)
    return { kind: 'hopping', sizeMs, hopMs, offsetMs: given.offsetMs('hop', hopMs), graceMs: given.graceMs(), paneMs }
  },
  cumulate(given) {
    const sizeMs = given.ms('size')
    const stepMs = given.ms('step')
    if (sizeMs % stepMs !== 0) {
      given.addAbout(['size', 'step'], `step ${given.text('step')} must divide the size ${given.text('size')}`)
    }
    checkOverlap(given, 'step', sizeMs / stepMs)
    const offsetMs = given.offsetMs('size', sizeMs)
    return { kind: 'cumulate', sizeMs, stepMs, offsetMs, graceMs: given.graceMs(), paneMs: stepMs }
  },
  calendar(given) {
    const unit = given.unit()
    return {
      kind: 'calendar',
      unit,
      timeZone: given.timeZone(),
      offsetMs: given.unitOffsetMs(unit),
      graceMs: given.graceMs(),
    }
  },
  session(given) {
    return { kind: 'session', gapMs: given.ms('gap'), graceMs: given.graceMs() }
  },
  count(given) {
    const sizeRecords = given.records('size')
    const hopRecords = given.records('hop')
    if (hopRecords > sizeRecords) {
      given.add(`hop ${hopRecords} is more than the size ${sizeRecords}: records between two windows would be in none`)
    }
    const windows = Math.ceil(sizeRecords / hopRecords)
    if (windows > OVERLAP_MAX) {
      const why = `${windows} windows hold each record, ${OVERLAP_MAX} are possible`
      given.add(`hop ${hopRecords} is too small for the size ${sizeRecords}: ${why}`)
    }
    // Panes of another size would be more rows than windows.
    const hasPanes = hopRecords < sizeRecords && sizeRecords % hopRecords === 0
    return { kind: 'count', sizeRecords, hopRecords, paneRecords: hasPanes ? hopRecords : undefined }
  },
  global: () => ({ kind: 'global' }),
  sliding: (given) => ({ kind: 'sliding', sizeMs: given.ms('size'), graceMs: given.graceMs() }),
}

function greatestCommonDivisor(a: number, b: number): number {
  while (b > 0) [a, b] = [b, a % b]
  return a
}

/**
 * Overlapping windows share panes where that gives the same rows: every sink wants just the row of the close, and the state of every
 * aggregate can be merged. Elsewhere each window has rows of its own.
 */
export function decidePanes(operators: readonly OperatorPlan[]): OperatorPlan[] {
  const decided: OperatorPlan[] = []
  for (let from = 0; from < operators.length; ) {
    const end = operators.findIndex((one, at) => at >= from && (one.kind === 'rows' || one.kind === 'repartition'))
    const to = end < 0 ? operators.length : end + 1
    decided.push(...decidePanesOf(operators.slice(from, to)))
    from = to
  }
  return decided
}

/** Of one window and what is done with its rows. */
function decidePanesOf(operators: readonly OperatorPlan[]): OperatorPlan[] {
  const isFinalOnly = operators.every((operator) => !('emit' in operator) || operator.emit.kind === 'final')
  const isMergeable = operators.every(
    (operator) => operator.kind !== 'aggregate' || operator.aggregates.every(canMerge),
  )
  if (isFinalOnly && isMergeable) return [...operators]
  return operators.map((operator) =>
    operator.kind === 'window' ? { ...operator, window: withoutPanes(operator.window) } : operator,
  )
}

function withoutPanes(window: WindowPlan): WindowPlan {
  if ('paneMs' in window) return { ...window, paneMs: undefined }
  return 'paneRecords' in window ? { ...window, paneRecords: undefined } : window
}

/** What rows of empty windows hold, from what was given to `gapFill`. */
export function compileGapFill(
  found: Findings,
  aggregate: string,
  given: unknown,
  window: WindowPlan | undefined,
  aggregates: readonly AggregatePlan[],
): GapFillPlan | undefined {
  if (given === undefined) return undefined
  const where = `${aggregate}: gapFill`
  if (window?.kind !== 'tumbling') found.add(`${where} is for tumbling windows`)
  const options = found.options(where, given, ['for', 'fill'])
  if (options.for === undefined) found.add(`${where} needs for, how long a key without records has rows, e.g. '1h'`)
  const forMs = found.durationMs(`${where}: for`, options.for, 1, 1)
  if (window?.kind === 'tumbling' && forMs / window.sizeMs > OVERLAP_MAX) {
    found.add(`${where}: ${show(options.for)} is more than ${OVERLAP_MAX} windows, a row each`)
  }
  const names = aggregates.map(({ as }) => as)
  const fill = found.options(`${where}: fill`, options.fill, names)
  const fills = names.map((name) => found.oneOf(`${where}: fill of ${show(name)}`, fill[name], GAP_VALUES, 'null'))
  return { forMs, fills }
}

/** Sessions of a key are open as long as records for them may come. */
export function checkSessions(found: Findings, name: string, window: WindowPlan, outOfOrderMs: number): void {
  if (window.kind !== 'session' || (window.graceMs + outOfOrderMs) / window.gapMs <= SESSIONS_MAX) return
  const waits = `${formatDuration(window.graceMs + outOfOrderMs)} of grace and outOfOrder`
  const gap = `the gap ${formatDuration(window.gapMs)}`
  found.add(`window ${show(name)}: ${waits} are too long for ${gap}: ${SESSIONS_MAX} sessions of a key may be open`)
}

/** Windows whose rows are always merged, and why. */
export const MERGE_REASONS: Partial<Record<WindowPlan['kind'], string>> = {
  session: 'sessions that meet become one',
  sliding: 'sliding windows share their records',
}

/** What it has of two rows can be put together. */
export function canMerge(aggregate: AggregatePlan): boolean {
  return aggregate.kind !== 'custom' || aggregate.merge !== undefined
}

function checkOverlap(given: Given, name: string, windows: number): void {
  if (windows <= OVERLAP_MAX) return
  const times = `${Math.ceil(windows)} windows hold each time, ${OVERLAP_MAX} are possible`
  given.addAbout(
    ['size', name],
    `${name} ${given.text(name)} is too short for the size ${given.text('size')}: ${times}`,
  )
}

/** The window of a plan from what was given to `window(name, ...)`. */
export function compileWindow(found: Findings, name: string, given: unknown): WindowPlan {
  const where = `window ${show(name)}`
  const values = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {}
  const compile =
    typeof values.kind === 'string' && Object.hasOwn(WINDOWS, values.kind) ? WINDOWS[values.kind] : undefined
  if (compile !== undefined) return compile(new Given(found, where, values))
  found.add(`${where} takes a window, e.g. tumbling('1s'), not ${show(given)}`)
  return { kind: 'tumbling', sizeMs: 1, offsetMs: 0, graceMs: 0 }
}
