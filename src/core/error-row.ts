// A row of the table of errors. Runs on every thread; types only.
// Keeps SPEC: ERR-1 (table, docs and code are equal).

/**
 * What the supervisor does with an error of a code.
 * - `divert`: the record goes to the dead-letter topic, the job goes on
 * - `retry`: the same call again, within its limit
 * - `rebuild`: drop the epoch, reopen the tasks from committed state (a new attempt)
 * - `stop`: the process stops with the code's exit status
 * - `report`: answered to the caller (a command's user, an HTTP client); the job is not concerned
 */
export type ErrorAction = 'divert' | 'retry' | 'rebuild' | 'stop' | 'report'

export interface ErrorRow {
  action: ErrorAction
  /** One sentence, `{name}` marks a value. */
  text: string
  /** What to do about it. */
  remedy: string
}
