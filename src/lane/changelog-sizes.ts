// A state row cannot be cut or dropped: too large for the changelog, it stops the job. Runs on a lane.
// Keeps SPEC: SIZE-1.

import { MillraceError } from '../core/errors.ts'
import { FrameView } from '../core/frame.ts'
import { MESSAGE_OVERHEAD_BYTES, messageBytesMaxOf } from './operators/message-size.ts'

/** Throws MR4008 when a record of a sealed frame for a changelog is larger than its topic takes. */
export function checkChangelogSizes(
  frame: ArrayBuffer | undefined,
  changelogs: readonly number[],
  topics: readonly string[],
  messageBytesMax: readonly number[],
): void {
  const limits = changelogs.map((index) => messageBytesMaxOf(messageBytesMax, index))
  if (frame === undefined || limits.every((limit) => limit === Number.POSITIVE_INFINITY)) return
  const view = new FrameView(frame)
  for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
    const bytes = view.nextAt(at) - at + MESSAGE_OVERHEAD_BYTES
    const index = view.topicIndex(at)
    const limit = messageBytesMaxOf(messageBytesMax, index)
    if (bytes > limit && changelogs.includes(index)) {
      throw new MillraceError('MR4008', { topic: topics[index]!, bytes, limit })
    }
  }
}
