import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameView, FrameWriter, sourceRecords } from '../../src/core/frame.ts'
import { cutFrame } from '../../src/engine/input-end.ts'

test('a cut frame has the records before the end and no other', () => {
  const offsets = fc
    .uniqueArray(fc.integer({ min: 0, max: 50 }), { minLength: 1 })
    .map((list) => list.sort((a, b) => a - b))
  fc.assert(
    fc.property(offsets, fc.integer({ min: 0, max: 55 }), (list, endOffset) => {
      const writer = new FrameWriter()
      for (const offset of list) writer.appendSource(offset, 0, undefined, new Uint8Array(offset % 7))
      const cut = cutFrame(writer.take(0, list.at(-1)! + 1, 60)!, endOffset)
      const expected = list.filter((offset) => offset < endOffset)
      if (expected.length === 0) {
        expect(cut).toBeUndefined()
        return
      }
      expect(sourceRecords(cut!).map((record) => record.offset)).toEqual(expected)
      const view = new FrameView(cut!)
      expect(view.nextOffset).toBe(endOffset)
      expect(view.usedBytes).toBeLessThanOrEqual(cut!.byteLength)
    }),
  )
})
