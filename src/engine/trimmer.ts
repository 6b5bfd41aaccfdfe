// Deletes what is behind the commit from the repartition topic: nobody reads it again. Main thread.
// Keeps SPEC: REPART-3 (trimmed behind the commit, and never before it).

import { type Admin, KafkaError, partitionKey, type TopicPartitionOffset } from '../kafka/port.ts'
import type { EngineOptions } from './options.ts'
import type { TaskState } from './task-state.ts'
import { messageOf } from './verdict.ts'

/**
 * Trims every so often, for as long as an attempt runs. What fails is tried again with the next round: only disk is lost
 * meanwhile. Where the client or the broker cannot delete records, that is said once.
 *
 * @example
 * const trimmer = new Trimmer(engine)
 * trimmer.start(() => attempt.tasks)
 */
export class Trimmer {
  readonly #engine: EngineOptions
  readonly #trimmed = new Map<string, number>()
  #admin: Admin | undefined
  #cancel = () => {}
  #isStopped = false
  #round: Promise<void> | undefined

  constructor(engine: EngineOptions) {
    this.#engine = engine
  }

  /** `tasks`: those that run now. A job without a repartition topic has nothing to trim. */
  start(tasks: () => readonly TaskState[]): void {
    const { scheduler, topics, limits } = this.#engine
    if (topics.repartitions.length === 0 || this.#isStopped) return
    this.#cancel = scheduler.after(limits.trimEveryMs, () => {
      this.#round = this.#trim(tasks()).finally(() => this.start(tasks))
    })
  }

  async close(): Promise<void> {
    this.#isStopped = true
    this.#cancel()
    await this.#round
    await this.#admin?.close()
  }

  async #trim(tasks: readonly TaskState[]): Promise<void> {
    const before = tasks.filter((task) => !task.isSource).flatMap((task) => this.#news(task))
    if (before.length === 0) return
    const { kafka, limits, log } = this.#engine
    try {
      this.#admin ??= await kafka.openAdmin()
      await this.#admin.deleteRecords(before, limits.callMs)
      for (const one of before) this.#trimmed.set(partitionKey(one), one.offset)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      log.warn({ reason: messageOf(error) }, 'the repartition topic was not trimmed')
      const isUnsupported = error instanceof KafkaError && error.failure.name === '_UNSUPPORTED_FEATURE'
      if (isUnsupported) this.#isStopped = true
    }
  }

  #news(task: TaskState): TopicPartitionOffset[] {
    const { topic, partition, committedOffset } = task
    if (committedOffset === undefined || committedOffset <= (this.#trimmed.get(partitionKey(task)) ?? 0)) return []
    return [{ topic, partition, offset: committedOffset }]
  }
}
