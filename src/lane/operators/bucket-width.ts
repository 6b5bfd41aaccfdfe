// How wide the buckets are in which records of a join wait. Runs on a lane, when a task opens.
// Keeps SPEC: JOIN-4 (a record that none can meet any more occupies nothing).

const BUCKET_MS_MIN = 16
/** In the time that its records wait. */
const BUCKETS_MAX = 256
/** That a record looks through. */
const BUCKETS_SEEN_MAX = 16

/**
 * The width in ms of the buckets of deadlines of one side. `waitMs`: how long its records wait, as they come in; `spanMs`: the deadlines
 * that one of the other side looks through. Short where records wait for a short time: they stay until the end of their bucket.
 *
 * @example
 * bucketMsOf(60_000, 65_000) // 32500
 * bucketMsOf(60_000, 4_000) // 3750
 */
export function bucketMsOf(spanMs: number, waitMs: number): number {
  return Math.max(
    BUCKET_MS_MIN,
    Math.min(spanMs, Math.ceil(waitMs / 2)),
    Math.ceil(spanMs / BUCKETS_SEEN_MAX),
    Math.ceil(waitMs / BUCKETS_MAX),
  )
}
