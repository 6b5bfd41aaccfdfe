// Tasks that are being opened while others run already. Main thread.
// Keeps SPEC: GROUP-2 (only moved tasks pause).

import type { TaskState } from './task-state.ts'

/** An opening that can be given up; it ends soon afterwards. */
export class Opening {
  #isCancelled = false
  #isDone = false
  /** The tasks; undefined when it was given up. */
  readonly tasks: Promise<TaskState[] | undefined>

  constructor(open: (isCancelled: () => boolean) => Promise<TaskState[] | undefined>) {
    this.tasks = open(() => this.#isCancelled).finally(() => {
      this.#isDone = true
    })
    this.tasks.catch(() => {}) // whoever waits for the tasks has the error
  }

  get isDone(): boolean {
    return this.#isDone
  }

  /** Gives it up; resolves when nothing of it is under way. Its error, if any, has nobody left to concern. */
  async cancel(): Promise<void> {
    this.#isCancelled = true
    await this.tasks.then(nothing, nothing)
  }
}

function nothing(): void {}
