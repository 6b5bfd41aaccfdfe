// Cases of the Kafka port: groups, their rebalances and memberships, and topics. Used by port-cases.ts.
// Holds SPEC: KAFKA-2 (a membership is as old as its assignment).
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { TopicPartition } from '../../src/kafka/port.ts'
import {
  type Bench,
  CALL_MS,
  failureOf,
  numbers,
  type PortSubject,
  pollTogether,
  pollUntil,
  take,
  texts,
} from './port-bench.ts'

export function groupCases(subject: PortSubject, bench: Bench): void {
  describe('a group', () => {
    it('names its members: a dynamic one leaves when it closes, a static one stays for its session', async () => {
      const topic = await bench.topic(1)
      const groupId = `group-${randomUUID()}`
      const admin = await bench.admin()
      if (!subject.hasGroupMembers) {
        expect(await failureOf(admin.groupMembers(groupId, CALL_MS))).toMatchObject({ name: '_UNSUPPORTED_FEATURE' })
        return
      }
      const instanceIds = async () => (await admin.groupMembers(groupId, CALL_MS)).map(({ instanceId }) => instanceId)
      expect(await instanceIds()).toEqual([])
      const dynamic = await bench.member(topic, 1, groupId, '')
      const [member] = await admin.groupMembers(groupId, CALL_MS)
      expect(member).toMatchObject({ memberId: dynamic.group.memberId, instanceId: undefined })
      expect(member!.host).not.toBe('')
      await dynamic.consumer.close()
      await expect.poll(instanceIds, { timeout: CALL_MS }).toEqual([])
      const fixed = await bench.member(topic, 1, groupId, 'a')
      await fixed.consumer.close()
      expect(await instanceIds()).toEqual(['a'])
    })

    it('gives its only member all partitions, and a membership to commit with', async () => {
      const topic = await bench.topic(3)
      const { assigned, group } = await bench.member(topic, 3)
      expect(numbers(assigned)).toEqual([0, 1, 2])
      expect(group.memberId).not.toBe('')
      expect(group.generation).toBeGreaterThanOrEqual(0)
    })

    it('has no membership to give while it is in no group', async () => {
      // One that reads topics may be a member as soon as it is there.
      const consumer = await bench.consumer(undefined, `group-${randomUUID()}`, 'a', { onAssign() {}, onRevoke() {} })
      expect(await failureOf(Promise.resolve().then(() => consumer.groupMetadata()))).toMatchObject({ name: '_STATE' })
    })

    it('reads nothing before it is told where from, then from there', async () => {
      const topic = await bench.topic(1)
      await bench.produce(topic, texts(10))
      const events: TopicPartition[][] = []
      const groupId = `group-${randomUUID()}`
      const consumer = await bench.consumer(topic, groupId, 'a', {
        onAssign: (partitions) => events.push(partitions),
        onRevoke: () => consumer.unassign(),
      })
      let recordCount = 0
      await pollUntil(
        consumer,
        () => events.length > 0,
        (result) => {
          for (const batch of result.batches) recordCount += batch.recordCount
        },
      )
      expect(recordCount).toBe(0)
      consumer.assign([{ topic, partition: 0, offset: 6 }])
      expect((await take(consumer, 4)).map(({ offset }) => offset)).toEqual([6, 7, 8, 9])
    })

    it('takes all partitions back and shares them out when a member comes', async () => {
      const topic = await bench.topic(4)
      const groupId = `group-${randomUUID()}`
      const first = await bench.member(topic, 4, groupId, 'a')
      const second = await bench.watchedMember(topic, groupId, 'b')
      await pollTogether(
        [first.consumer, second.consumer],
        () => first.assigned.length === 2 && second.assigned.length === 2,
      )
      expect(first.revokes).toEqual([{ partitions: [0, 1, 2, 3], isLost: false }])
      expect(numbers([...first.assigned, ...second.assigned])).toEqual([0, 1, 2, 3])
      expect(second.revokes).toEqual([])
    })

    it('is left at once by a member with an instance id, and its partitions go to those that stay', async () => {
      const topic = await bench.topic(2)
      const groupId = `group-${randomUUID()}`
      const first = await bench.watchedMember(topic, groupId, 'a')
      const second = await bench.watchedMember(topic, groupId, 'b')
      await pollTogether(
        [first.consumer, second.consumer],
        () => first.assigned.length === 1 && second.assigned.length === 1,
      )
      await second.consumer.leave(CALL_MS)
      await second.consumer.close()
      const leftMs = performance.now()
      await pollUntil(first.consumer, () => first.assigned.length === 2)
      // Its session would have ended after 10 s.
      expect(performance.now() - leftMs).toBeLessThan(5_000)
    })
  })
}

export function adminCases(subject: PortSubject, bench: Bench): void {
  describe('topics', () => {
    it('are made once, described as they are, and deleted', async () => {
      const admin = await bench.admin()
      const name = await bench.topic(3, { 'retention.ms': '12345678', 'cleanup.policy': 'compact' })
      await admin.create([{ name, partitionCount: 3, replicationFactor: 1, config: {} }], CALL_MS)
      const described = await admin.describe([name, 'absent-topic'], CALL_MS)
      expect(described).toMatchObject([{ name, partitionCount: 3 }])
      const config = await admin.config(name, CALL_MS)
      if (subject.hasTopicDetails) {
        expect(described[0]!.topicId).toMatch(/^\S+$/)
        expect(config).toMatchObject({ 'retention.ms': '12345678', 'cleanup.policy': 'compact' })
        expect(Number(config['max.message.bytes'])).toBeGreaterThan(1_000)
      } else {
        expect(described[0]!.topicId).toBeUndefined()
        expect(config).toEqual({})
      }
      await admin.delete([name, 'absent-topic'], CALL_MS)
      await expect.poll(() => admin.describe([name], CALL_MS), { timeout: CALL_MS }).toEqual([])
    })

    it('lose the records before an offset, where they can be deleted', async () => {
      const admin = await bench.admin()
      const topic = await bench.topic(2)
      await bench.produce(topic, [...texts(10, 0), ...texts(10, 1)])
      const before = [
        { topic, partition: 0, offset: 7 },
        { topic, partition: 1, offset: 10 },
      ]
      if (!subject.hasTopicDetails) {
        expect(await failureOf(admin.deleteRecords(before, CALL_MS))).toMatchObject({ name: '_UNSUPPORTED_FEATURE' })
        return
      }
      await admin.deleteRecords(before, CALL_MS)
      const reader = await bench.reader([{ topic, partition: 0, offset: 7 }])
      expect((await take(reader, 3)).map(({ offset }) => offset)).toEqual([7, 8, 9])
      expect(await reader.watermarks({ topic, partition: 0 }, CALL_MS)).toEqual({ low: 7, high: 10 })
      expect(await reader.watermarks({ topic, partition: 1 }, CALL_MS)).toEqual({ low: 10, high: 10 })
    })

    it('made again under an old name are told apart by their id', async () => {
      if (!subject.hasTopicDetails) return
      const admin = await bench.admin()
      const name = await bench.topic(1)
      const [before] = await admin.describe([name], CALL_MS)
      await admin.delete([name], CALL_MS)
      await expect.poll(() => admin.describe([name], CALL_MS), { timeout: CALL_MS }).toEqual([])
      await admin.create([{ name, partitionCount: 1, replicationFactor: 1, config: {} }], CALL_MS)
      const [after] = await admin.describe([name], CALL_MS)
      expect(after!.topicId).not.toBe(before!.topicId)
    })

    it('with a setting that is none are refused', async () => {
      const admin = await bench.admin()
      const wanted = { name: `refused-${randomUUID()}`, partitionCount: 0, replicationFactor: 1, config: {} }
      expect(await failureOf(admin.create([wanted], CALL_MS))).toMatchObject({ isRetriable: false })
      expect(await admin.describe([wanted.name], CALL_MS)).toEqual([])
    })
  })
}
