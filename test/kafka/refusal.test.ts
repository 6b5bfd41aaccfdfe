// Failures that no new attempt mends have codes of their own. Keeps SPEC: SECURE-4, ZSTD-1, ERR-2.
import { expect, test } from 'vitest'
import type { KafkaFailure } from '../../src/kafka/port.ts'
import { type ClientRights, concerns, refusalOf } from '../../src/kafka/rdkafka/refusal.ts'

function failure(name: string, topic?: string): KafkaFailure {
  const flags = { isFatal: false, isRetriable: false, requiresAbort: false }
  return { code: 1, name, message: 'words', ...flags, ...(topic === undefined ? {} : { topic }) }
}

test.each<[string, string | undefined, ClientRights, string]>([
  ['TOPIC_AUTHORIZATION_FAILED', 'in', { topics: 'Read' }, 'Read on topic in'],
  ['TOPIC_AUTHORIZATION_FAILED', 'out', { topics: 'Write' }, 'Write on topic out'],
  ['TOPIC_AUTHORIZATION_FAILED', 'out', { topics: 'Create' }, 'Create on topic out'],
  ['TOPIC_AUTHORIZATION_FAILED', undefined, { topics: 'Write' }, 'Write on one of its topics'],
  ['GROUP_AUTHORIZATION_FAILED', undefined, { topics: 'Read', groupId: 'j' }, 'Read on group j'],
  [
    'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    undefined,
    { topics: 'Write', transactionalId: 'j-1' },
    'Write on transactional id j-1',
  ],
  ['CLUSTER_AUTHORIZATION_FAILED', undefined, { topics: 'Write' }, 'IdempotentWrite on the cluster'],
])('%s of topic %s names the right', (name, topic, rights, words) => {
  expect(refusalOf(failure(name, topic), rights)).toMatchObject({
    code: 'MR4034',
    action: 'stop',
    details: { rights: words },
  })
})

test.each(['_NOT_IMPLEMENTED', 'UNSUPPORTED_COMPRESSION_TYPE'])(
  '%s at a fetch is a compression that cannot be read',
  (name) => {
    const error = refusalOf(failure(name, 'in'), { topics: 'Read' })
    expect(error).toMatchObject({ code: 'MR4035', action: 'stop', details: { topic: 'in', codec: 'zstd' } })
    expect(error!.remedy).toContain('libzstd-dev')
    expect(refusalOf(failure(name), { topics: 'Write' })).toBeUndefined()
  },
)

test('a reader joins no group, so what brokers say of its group is no news; of a member it is', () => {
  const refused = failure('GROUP_AUTHORIZATION_FAILED')
  expect(concerns(refused, { topics: 'Read' })).toBe(false)
  expect(concerns(refused, { topics: 'Read', groupId: 'j' })).toBe(true)
  expect(concerns(failure('TOPIC_AUTHORIZATION_FAILED'), { topics: 'Read' })).toBe(true)
})

test('all else may be mended by a new attempt', () => {
  for (const name of ['_TIMED_OUT', '_TRANSPORT', 'NOT_COORDINATOR', '_AUTHENTICATION']) {
    expect(refusalOf(failure(name, 'in'), { topics: 'Read' })).toBeUndefined()
  }
})
