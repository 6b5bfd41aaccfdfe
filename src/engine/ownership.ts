// Since when each partition has been ours without a break: what a suspended task may be resumed on. Main thread; pure.
// Keeps SPEC: GROUP-1 (a kept task is resumed only where nobody else can have owned its partition in between).

import { partitionKey, type TopicPartition } from '../kafka/port.ts'

/*
 *   generation      7        8        9       11
 *   assigned      0 1 2     0 1      0 1     0 1
 *   ours since    7 7 7     7 7      7 7    11 11     a generation was missed: somebody else may have owned them in it
 */
export class Ownership {
  #generation: number | undefined
  #since = new Map<string, number>()

  /** Takes an assignment; returns since which generation each of its partitions has been ours. */
  assigned(generation: number, partitions: readonly TopicPartition[]): ReadonlyMap<string, number> {
    // A static member that came back takes its place in the generation that is.
    const isNext =
      this.#generation !== undefined && generation - this.#generation <= 1 && generation >= this.#generation
    const before = isNext ? this.#since : new Map<string, number>()
    this.#generation = generation
    this.#since = new Map(partitions.map((one) => [partitionKey(one), before.get(partitionKey(one)) ?? generation]))
    return this.#since
  }

  /** The group has given everything away. */
  lost(): void {
    this.#generation = undefined
    this.#since = new Map()
  }
}
