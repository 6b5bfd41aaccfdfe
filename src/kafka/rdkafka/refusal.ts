// Failures that no new attempt mends, as errors with their own codes: a right that is missing, a compression that this
// build cannot undo. Main thread; pure.
// Keeps SPEC: SECURE-4 (a missing right is named: operation and resource), ZSTD-1; ERR-2 (decided by names).
import { MillraceError } from '../../core/errors.ts'
import { KafkaError, type KafkaFailure } from '../port.ts'

/** What a client does with topics, and the names that it goes by: what its refusals are about. */
export interface ClientRights {
  topics: 'Read' | 'Write' | 'Describe' | 'DescribeConfigs' | 'Create'
  groupId?: string | undefined
  transactionalId?: string | undefined
}

/** The error for a failure that is for good; undefined for all others. */
export function refusalOf(failure: KafkaFailure, rights: ClientRights): MillraceError | undefined {
  const right = missingRight(failure, rights)
  if (right !== undefined) return new MillraceError('MR4034', { rights: right }, { cause: new KafkaError(failure) })
  if (rights.topics === 'Read' && UNREADABLE.has(failure.name)) {
    const details = { topic: failure.topic ?? 'that is read', codec: 'zstd' }
    return new MillraceError('MR4035', details, { cause: new KafkaError(failure) })
  }
  return undefined
}

/**
 * False for what is no news: librdkafka looks for the coordinator of every consumer's group, also of a reader, which never
 * joins one and so needs no right to it.
 */
export function concerns({ name }: KafkaFailure, rights: ClientRights): boolean {
  return name !== 'GROUP_AUTHORIZATION_FAILED' || rights.topics !== 'Read' || rights.groupId !== undefined
}

/** The first is librdkafka's own word, the second that of a broker which sees that the client does not know the codec. */
const UNREADABLE = new Set(['_NOT_IMPLEMENTED', 'UNSUPPORTED_COMPRESSION_TYPE'])

function missingRight({ name, topic }: KafkaFailure, rights: ClientRights): string | undefined {
  switch (name) {
    case 'TOPIC_AUTHORIZATION_FAILED':
      return `${rights.topics} on ${topic === undefined ? 'one of its topics' : `topic ${topic}`}`
    case 'GROUP_AUTHORIZATION_FAILED':
      return `Read on ${rights.groupId === undefined ? 'the group of its name' : `group ${rights.groupId}`}`
    case 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED':
      return `Write on transactional id ${rights.transactionalId ?? 'of this process'}`
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return rights.topics === 'Create' ? 'Create on the cluster' : 'IdempotentWrite on the cluster'
    default:
      return undefined
  }
}
