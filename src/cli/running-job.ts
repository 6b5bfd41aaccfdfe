// What the commands see of a job that runs in this process. Types alone; main thread.

/** Counts since the start of the process; latencies over its life, from the records' Kafka timestamps. */
export interface JobSnapshot {
  /** Records read (with envelopes: events). records = accepted + late + dead + filtered, less what flatMap added. */
  records: number
  accepted: number
  late: number
  dead: number
  filtered: number
  /** Records that flatMap added. */
  expanded: number
  /** Windows that were closed to a record which another window took. */
  refused: number
  /** Rows given to sinks and views. */
  results: number
  recordsPerSecond: number
  /** From a record's Kafka timestamp to the commit that covers it; read-committed consumers see its results from then on. */
  latencyMsP50: number
  latencyMsP95: number
  latencyMsP99: number
  /** Records behind the end of the input, summed over partitions. */
  lagRecords: number
  epochs: number
}

/** The last snapshot, when everything is committed, and what the run took. */
export interface RunSummary extends JobSnapshot {
  /** From the first fetch to the last commit. */
  elapsedMs: number
  /** CPU of the whole process in that time: all threads, user and system. */
  cpuMicros: number
  /** Greatest resident memory of the process since its start. */
  rssBytesMax: number
}

export interface ReadyInfo {
  /** From the start of the process to ready. */
  millis: number
  partitions: number
  lanes: number
  /** Where it can be looked at: admin server, views. */
  urls: { admin: string; push: string | undefined }
}

/** What runs in this process from its start to its end. */
export interface Life<Info, Summary> {
  /** Resolves when it does what it is for: a job when partitions are assigned and their state is restored. Rejects when it fails before. */
  ready: Promise<Info>
  /** Resolves when it ended cleanly (stopped, or at its end of input); rejects when it failed. */
  done: Promise<Summary>
  /** Stops cleanly within `limits.stopMs`, else `done` rejects with MR6003. Idempotent. */
  stop(reason: string): Promise<void>
}

export interface RunningJob extends Life<ReadyInfo, RunSummary> {
  snapshot(): JobSnapshot
}
