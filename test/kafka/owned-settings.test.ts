// What the configuration refuses and what the Kafka client refuses are the same settings. Keeps SPEC: CONFIG-4.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { consumerSettings, refusedSettings } from '../../src/kafka/rdkafka/settings.ts'
import { KAFKA_OWNED } from '../../src/ops/config-table.ts'

/** All settings of librdkafka, from the types that node-rdkafka generates. */
function allSettings(): string[] {
  const types = readFileSync(join(import.meta.dirname, '../../node_modules/node-rdkafka/config.d.ts'), 'utf8')
  return [...new Set([...types.matchAll(/^\s+"?([a-z][\w.]+)"?\?:/gm)].map((match) => match[1]!))]
}

test('the two refuse the same of all settings that there are', () => {
  const all = allSettings()
  expect(all.length).toBeGreaterThan(150)
  const candidates = [...new Set([...all, ...Object.keys(KAFKA_OWNED)])]
  const refusedByClient = candidates.filter((name) => refusedSettings({ [name]: 'x' }).length > 0)
  expect(refusedByClient.sort()).toEqual(Object.keys(KAFKA_OWNED).sort())
})

test('what is not owned is passed on, to a member of a group too', () => {
  const group = { groupId: 'job', instanceId: 'one' }
  const choice = { brokers: 'localhost:1', readUncommitted: false, group }
  const { global } = consumerSettings({ ...choice, settings: { 'session.timeout.ms': 6_000 } })
  expect(global).toMatchObject({ 'session.timeout.ms': 6_000, 'group.instance.id': 'one' })
  expect(consumerSettings({ ...choice, settings: {} }).global).toMatchObject({ 'session.timeout.ms': 10_000 })
})
