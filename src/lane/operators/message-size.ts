// How large a message may be for its topic. Brokers measure whole batches, so a batch of one record is what must fit.
// Runs on a lane; pure.
// Keeps SPEC: SIZE-1 (sizes are checked before producing: a permanent produce error would abort every epoch).

/** Batch header (61), record framing and varints of a batch of one, rounded up. */
export const MESSAGE_OVERHEAD_BYTES = 128

/** max.message.bytes of a topic by index; without an entry there is no limit. */
export function messageBytesMaxOf(messageBytesMax: readonly number[], topicIndex: number): number {
  return messageBytesMax[topicIndex] ?? Number.POSITIVE_INFINITY
}
