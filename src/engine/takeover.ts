// Ends what a dead instance left open: its transaction holds back whoever takes its partitions over, until it times out.
// Main thread.
// Keeps SPEC: GROUP-3 (only for owners that the group does not have any more).

import { MillraceError } from '../core/errors.ts'
import { type GroupMember, KafkaError } from '../kafka/port.ts'
import type { EngineOptions } from './options.ts'

/*
 *   dead instance    begin ... offsets ... rows ... (killed)          its transaction times out 10 to 20 s later
 *   group                                   session ends, partitions are ours
 *   this instance                                |- blocked for 500 ms -| initTransactions with the dead one's id: aborted
 *
 * The partitions were assigned to us before, so the owner has lost them, and the coordinator takes no offsets of it any more.
 * It may live nevertheless (it was paused, or cut off): then its transaction was doomed anyway, and it joins again.
 */
export class Takeover {
  readonly #engine: EngineOptions
  /** Each is ended once an attempt: a second time can only hit the owner when it has come back. */
  readonly #ended = new Set<string>()

  constructor(engine: EngineOptions) {
    this.#engine = engine
  }

  /** Ends the open transactions of those among these instances that are gone. A broker that does not answer is no failure. */
  async endDead(instanceIds: Iterable<string>): Promise<void> {
    const owners = new Set(instanceIds)
    owners.delete(this.#engine.instanceId)
    for (const ended of this.#ended) owners.delete(ended)
    if (owners.size === 0) return
    try {
      const living = await membersOf(this.#engine)
      if (living === undefined) return
      for (const { instanceId } of living) owners.delete(instanceId ?? '')
      for (const owner of owners) await this.#end(owner)
    } catch (error) {
      if (!(error instanceof KafkaError || error instanceof MillraceError)) throw error
      this.#engine.log.warn(
        { owners: [...owners], reason: error.message },
        'a dead instance still holds its transaction',
      )
    }
  }

  async #end(instanceId: string): Promise<void> {
    const { kafka, plan, limits, log } = this.#engine
    const producer = await kafka.openProducer({ transactionalId: transactionalIdOf(plan.job, instanceId) })
    try {
      await producer.initTransactions(limits.callMs)
      this.#ended.add(instanceId)
      log.warn({ instanceId }, 'the open transaction of an instance that is gone was ended')
    } finally {
      await producer.close()
    }
  }
}

/** The transactional id of an instance: initialising it ends whatever the instance has open. */
export function transactionalIdOf(job: string, instanceId: string): string {
  return `${job}-${instanceId}`
}

/**
 * A producer was fenced: true when another process is a member of the group under our instance id, false when somebody only
 * ended our transaction. `ownMemberIds`: those that our consumer has had. Where the group cannot be asked: true.
 */
export async function isReplaced(engine: EngineOptions, ownMemberIds: readonly string[]): Promise<boolean> {
  const members = await membersOf(engine)
  if (members === undefined) return true
  const holder = members.find(({ instanceId }) => instanceId === engine.instanceId)
  return holder !== undefined && !ownMemberIds.includes(holder.memberId)
}

/** The group as the broker knows it; undefined where it cannot be asked. */
async function membersOf({ kafka, plan, limits }: EngineOptions): Promise<GroupMember[] | undefined> {
  const admin = await kafka.openAdmin()
  try {
    return await admin.groupMembers(plan.job, limits.callMs)
  } catch (error) {
    if (error instanceof KafkaError && error.failure.name === '_UNSUPPORTED_FEATURE') return undefined
    throw error
  } finally {
    await admin.close()
  }
}
