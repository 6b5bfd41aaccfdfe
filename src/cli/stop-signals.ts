// SIGTERM and SIGINT: the first stops cleanly, the second ends the process at once. Main thread.
// Keeps SPEC: STOP-1 (a clean stop within its limit), STOP-2 (a second signal ends at once).

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const
export type StopSignal = keyof typeof EXIT_CODES

/**
 * Calls `stop` at the first signal; at the second the process exits with 130 or 143. Returns the function that undoes it.
 *
 * @example
 * const undo = onStopSignal((signal) => job.stop(signal))
 */
export function onStopSignal(stop: (signal: StopSignal) => void): () => void {
  let isStopping = false
  const listen = (signal: StopSignal): void => {
    if (isStopping) process.exit(EXIT_CODES[signal])
    isStopping = true
    stop(signal)
  }
  process.on('SIGINT', listen)
  process.on('SIGTERM', listen)
  return () => {
    process.off('SIGINT', listen)
    process.off('SIGTERM', listen)
  }
}
