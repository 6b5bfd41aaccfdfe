import { expect, test } from 'vitest'
import { decideFailure } from '../../../src/engine/epoch/failure.ts'
import type { KafkaFailure } from '../../../src/kafka/port.ts'

function failure(name: string, flags: Partial<KafkaFailure> = {}): KafkaFailure {
  return { code: -1, name, message: name, isFatal: false, isRetriable: false, requiresAbort: false, ...flags }
}

test.each([
  ['a time-out is an unknown outcome', failure('_TIMED_OUT', { isRetriable: true }), { kind: 'rebuild' }],
  ['an abortable error drops the epoch', failure('_PURGE_QUEUE', { requiresAbort: true }), { kind: 'rebuild' }],
  ['a broken connection drops the epoch', failure('_TRANSPORT'), { kind: 'rebuild' }],
  ['a fatal error that is no fencing gets a new producer', failure('_FATAL', { isFatal: true }), { kind: 'rebuild' }],
  [
    'a fenced producer asks the group who fenced it, even when it is told to abort',
    failure('PRODUCER_FENCED', { requiresAbort: true }),
    { kind: 'ask' },
  ],
  ['an old producer epoch is fencing', failure('INVALID_PRODUCER_EPOCH'), { kind: 'ask' }],
  ['a fenced group member stops', failure('FENCED_INSTANCE_ID', { isFatal: true }), { kind: 'stop', code: 'MR4005' }],
  ['a refused authorisation stops', failure('TOPIC_AUTHORIZATION_FAILED'), { kind: 'stop', code: 'MR4007' }],
])('%s', (_, given, decision) => {
  expect(decideFailure(given)).toEqual(decision)
})

test.each(['MSG_SIZE_TOO_LARGE', 'INVALID_TIMESTAMP', 'INVALID_RECORD', 'RECORD_LIST_TOO_LARGE'])(
  'what is refused for good stops instead of coming again: %s',
  (name) => {
    expect(decideFailure(failure(name, { requiresAbort: true }))).toEqual({ kind: 'stop', code: 'MR4015' })
  },
)
