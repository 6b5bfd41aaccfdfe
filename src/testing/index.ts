// The test driver, exported as `millrace/test`: runs a job on a real lane, in the calling thread, without Kafka.
// Test processes, main thread.

export type { DeadRecord, LateRecord, OutputRow, TestRecord } from './decoded.ts'
export { TestJob, type TestJobOptions, testJob } from './test-job.ts'
