// What the engine tells about rows whose transaction is not committed yet, to whoever shows them. A port: the push side implements it,
// and neither knows the other. Main thread; types only.
// Keeps SPEC: PROV-1 (a row is shown while its attempt may still commit it).

/*
 *   begun(1)  given(1, epoch 7) given(1, epoch 7) given(1, epoch 8) committed(1, 7) committed(1, 8) ... ended(1)  begun(2) ...
 *                                                                                                    |
 *                         epochs that were not committed by then never are by this attempt ----------+
 */
/** Calls come from the main thread, must not throw and take no longer than it takes to look at the rows. */
export interface ProvisionalRows {
  /** An attempt runs in this process: rows of its tasks may come. */
  begun(attempt: number): void
  /** Result rows of an open epoch, a sink frame (core/frame.ts) that may be read during the call only. In the order of the topic. */
  given(attempt: number, epoch: number, frame: ArrayBuffer): void
  /** The transaction of the epoch is committed: its rows will be read from their topics. */
  committed(attempt: number, epoch: number): void
  /**
   * Nothing of the attempt that is not committed will be, as far as this process knows: an abort, a lost assignment, a lane that
   * died, the end of the job. Idempotent.
   */
  ended(attempt: number): void
}
