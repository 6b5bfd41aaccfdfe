// The end of an input that is read up to a fixed offset. Main thread; pure.
// Keeps SPEC: R4 (records after the end are not part of the run).

import { FRAME_HEADER_BYTES, FrameView } from '../core/frame.ts'

/**
 * The records of a source frame before `endOffset`, in the same buffer with a corrected header; undefined when none is.
 * Records lie in offset order, so the rest of the buffer is simply not counted any more.
 */
export function cutFrame(frame: ArrayBuffer, endOffset: number): ArrayBuffer | undefined {
  const view = new FrameView(frame)
  let count = 0
  let at = FRAME_HEADER_BYTES
  while (count < view.recordCount && view.offset(at) < endOffset) {
    count++
    at = view.nextAt(at)
  }
  if (count === 0) return undefined
  view.words[1] = count
  view.words[2] = at
  view.doubles[2] = endOffset
  return frame
}
