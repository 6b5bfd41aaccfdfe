// Tumbling windows: which window a time falls into, and when it is closed. Plain arithmetic, knows no state. Hot.
// Runs on a lane; pure.
// Keeps SPEC: R2 ([start, end), aligned to the epoch plus an offset, closed when watermark >= end + grace).

/*
 * size 10, offset 3:   -7        3         13        23
 *                  ----[---------[---------[---------[----> event time; -7 belongs to [-7, 3), 3 to [3, 13)
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
