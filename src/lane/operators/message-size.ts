// How large a message may be for its topic. Brokers measure whole batches, so a batch of one record is what must fit.
// Runs on a lane; pure.
// Keeps SPEC: SIZE-1 (sizes are checked before producing: a permanent produce error would abort every epoch).

import { MillraceError } from '../../core/errors.ts'

/** Batch header (61), record framing and varints of a batch of one, rounded up. */
export const MESSAGE_OVERHEAD_BYTES = 128

/** Throws MR4008 for a row whose key, value and headers do not fit its topic. */
export function checkRowSize(sink: { topic: string; messageBytesMax: number }, bytes: number): void {
  const { topic, messageBytesMax: limit } = sink
  if (bytes + MESSAGE_OVERHEAD_BYTES > limit) throw new MillraceError('MR4008', { topic, bytes, limit })
}

/** max.message.bytes of a topic by index; without an entry there is no limit. */
export function messageBytesMaxOf(messageBytesMax: readonly number[], topicIndex: number): number {
  return messageBytesMax[topicIndex] ?? Number.POSITIVE_INFINITY
}
