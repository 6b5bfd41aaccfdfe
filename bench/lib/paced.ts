// Open-loop pacing: each record has an intended time, whatever the system does. Main thread.

/** Milliseconds of the machine's monotonic clock, the same in every process (performance.now() starts with each). */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

export interface Pace {
  recordsPerSecond: number
  /** Records in all; Infinity: until `isStopped`. */
  recordCount: number
  /** Sends records `from` to `to` (exclusive), all of which are due. Resolves when they are handed over. */
  send(from: number, to: number): Promise<void>
  isStopped?(): boolean
  /** Intended time of record 0, by `machineMs`. */
  startMs: number
}

/** A tick sends at most this many at once: a late tick must not build a frame of any size. */
const BATCH_RECORDS_MAX = 10_000
/** Records of one tick go out together; the wait for the tick is part of a latency that counts from the intended time. */
const TICK_MS = 4

/** When record `i` is to be sent, by `machineMs`. */
export function intendedMs(pace: Pick<Pace, 'startMs' | 'recordsPerSecond'>, i: number): number {
  return pace.startMs + (i * 1_000) / pace.recordsPerSecond
}

/** Sends records as they become due; returns how many. */
export async function sendPaced(pace: Pace): Promise<number> {
  let sent = 0
  while (sent < pace.recordCount && !pace.isStopped?.()) {
    const due = Math.min(pace.recordCount, dueCount(pace), sent + BATCH_RECORDS_MAX)
    if (due > sent) {
      await pace.send(sent, due)
      sent = due
    }
    if (dueCount(pace) <= sent) await nextTick()
  }
  return sent
}

function dueCount({ startMs, recordsPerSecond }: Pace): number {
  return Math.floor(((machineMs() - startMs) * recordsPerSecond) / 1_000) + 1
}

function nextTick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, TICK_MS))
}
