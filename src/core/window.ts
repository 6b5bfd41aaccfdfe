// Aligned windows: which windows hold a time, in the order of their ends, and when one is closed. Plain arithmetic, knows no
// state. Runs on a lane; pure. Hot.
// Keeps SPEC: R2 ([start, end), aligned to the epoch plus an offset, closed when watermark >= end + grace), WIN-9 (the global window).

/*
 * tumbling 10, offset 3     -7        3         13        23
 *                       ----[---------[---------[---------[----> event time; -7 belongs to [-7, 3), 3 to [3, 13)
 *
 * hopping 10 by 4           0---------10                         a time lies in two or three of them: 9 in [0,10) [4,14) [8,18)
 *                               4---------14
 *                                   8---------18
 *
 * cumulate 12 by 4          0---4                                all windows of a block begin with it: 5 lies in [0,8) [0,12)
 *                           0-------8
 *                           0-----------12---16
 */

/** Start of the tumbling window that holds `timeMs`, in ms since the epoch; times before 1970 too. */
export function windowStart(timeMs: number, sizeMs: number, offsetMs: number): number {
  return Math.floor((timeMs - offsetMs) / sizeMs) * sizeMs + offsetMs
}

/** True when a window is closed: a record for it is late from now on. */
export function isWindowClosed(windowEndMs: number, graceMs: number, watermarkMs: number): boolean {
  return windowEndMs + graceMs <= watermarkMs
}

/** By how much a record came too late for its window, in ms; +Infinity after the end of input. */
export function latenessMs(windowEndMs: number, graceMs: number, watermarkMs: number): number {
  return watermarkMs - (windowEndMs + graceMs)
}

/** Windows that event time alone decides. Their ends go up, and a window is known by its end. All times in ms since the epoch. */
export interface AlignedWindows {
  /** End of the first window that holds `timeMs`. Every time lies in one. */
  firstEnd(timeMs: number): number
  /** End of the last window that holds `timeMs`. */
  lastEnd(timeMs: number): number
  /** End of the next window, whatever it holds. */
  nextEnd(endMs: number): number
  /** Start of the window that ends at `endMs`. */
  startOf(endMs: number): number
}

/** The end of a window that ends with the input alone: after every date, and before the watermark of the end, which is +Infinity. */
export const ENDLESS_MS: number = Number.MAX_SAFE_INTEGER

/** One window for all time. */
export class GlobalWindow implements AlignedWindows {
  firstEnd(): number {
    return ENDLESS_MS
  }
  lastEnd(): number {
    return ENDLESS_MS
  }
  nextEnd(): number {
    return Number.POSITIVE_INFINITY
  }
  startOf(): number {
    return -ENDLESS_MS
  }
}

/** Windows of one size, back to back: a time lies in one of them. */
export class TumblingWindows implements AlignedWindows {
  readonly #sizeMs: number
  readonly #offsetMs: number

  constructor(sizeMs: number, offsetMs: number) {
    this.#sizeMs = sizeMs
    this.#offsetMs = offsetMs
  }
  firstEnd(timeMs: number): number {
    return windowStart(timeMs, this.#sizeMs, this.#offsetMs) + this.#sizeMs
  }
  lastEnd(timeMs: number): number {
    return this.firstEnd(timeMs)
  }
  nextEnd(endMs: number): number {
    return endMs + this.#sizeMs
  }
  startOf(endMs: number): number {
    return endMs - this.#sizeMs
  }
}

/** Windows of one size, a new one every `hopMs` (at most the size). Their starts are aligned. */
export class HoppingWindows implements AlignedWindows {
  readonly #sizeMs: number
  readonly #hopMs: number
  readonly #offsetMs: number

  constructor(sizeMs: number, hopMs: number, offsetMs: number) {
    this.#sizeMs = sizeMs
    this.#hopMs = hopMs
    this.#offsetMs = offsetMs
  }
  /** The first window that holds a time is the last one that began by `timeMs - sizeMs`, and a hop. */
  firstEnd(timeMs: number): number {
    return windowStart(timeMs - this.#sizeMs, this.#hopMs, this.#offsetMs) + this.#hopMs + this.#sizeMs
  }
  lastEnd(timeMs: number): number {
    return windowStart(timeMs, this.#hopMs, this.#offsetMs) + this.#sizeMs
  }
  nextEnd(endMs: number): number {
    return endMs + this.#hopMs
  }
  startOf(endMs: number): number {
    return endMs - this.#sizeMs
  }
}

/** Blocks of one size; the windows of a block all begin with it and end a step apart. The step divides the size. */
export class CumulateWindows implements AlignedWindows {
  readonly #sizeMs: number
  readonly #stepMs: number
  readonly #offsetMs: number

  constructor(sizeMs: number, stepMs: number, offsetMs: number) {
    this.#sizeMs = sizeMs
    this.#stepMs = stepMs
    this.#offsetMs = offsetMs
  }
  firstEnd(timeMs: number): number {
    return windowStart(timeMs, this.#stepMs, this.#offsetMs) + this.#stepMs
  }
  lastEnd(timeMs: number): number {
    return windowStart(timeMs, this.#sizeMs, this.#offsetMs) + this.#sizeMs
  }
  nextEnd(endMs: number): number {
    return endMs + this.#stepMs
  }
  startOf(endMs: number): number {
    return windowStart(endMs - 1, this.#sizeMs, this.#offsetMs)
  }
}
