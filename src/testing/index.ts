// The test driver, exported as `millrace/test`: runs a job with its engine and lanes in the calling thread, without Kafka.
// Test processes, main thread.

export type { CrashStep } from './crash-steps.ts'
export { CRASH_STEPS } from './crash-steps.ts'
export type { DeadRecord, LateRecord, OutputRow } from './decoded.ts'
export type { Output } from './job-outputs.ts'
export type { TestRecord } from './sent-records.ts'
export { readSlice, type SliceRecord, sliceLine } from './slice-file.ts'
export type { StateRow } from './state-rows.ts'
export { TestJob, type TestJobOptions, testJob } from './test-job.ts'
export type { TestLimits } from './test-limits.ts'
export type { HistoryRow } from './view-rows.ts'
