// The text that rides with a committed offset. Holds SPEC: R1.
import { describe, expect, test } from 'vitest'
import { noCounts } from '../../src/core/counts.ts'
import type { TaskPosition } from '../../src/core/message.ts'
import { offsetMetadata, readOffsetMetadata } from '../../src/engine/offset-metadata.ts'

const position = (watermarkMs: number, eventTimeMsMax: number): TaskPosition => ({
  taskId: '0_0',
  epoch: 7,
  instanceId: 'one',
  source: 'in',
  inputOffset: 3,
  watermarkMs,
  eventTimeMsMax,
  isEnded: false,
  planHash: '',
  counts: noCounts(),
})

describe('the metadata of an offset', () => {
  test.each([
    [1_500, 2_000],
    [-1_500.5, 0],
    [1_760_000_000_000, 1_760_000_000_500],
  ])('gives back the epoch, the instance and the clock %d, %d', (watermarkMs, eventTimeMsMax) => {
    const text = offsetMetadata(7, position(watermarkMs, eventTimeMsMax))
    expect(readOffsetMetadata(text)).toEqual({ epoch: 7, clock: { watermarkMs, eventTimeMsMax }, instanceId: 'one' })
  })

  test.each([
    [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    [Number.POSITIVE_INFINITY, 2_000],
  ])('has no clock before the first record and after the end of input: %d', (watermarkMs, eventTimeMsMax) => {
    const text = offsetMetadata(8, position(watermarkMs, eventTimeMsMax))
    expect(text).toBe('epoch=8 instance=one')
    expect(readOffsetMetadata(text)).toEqual({ epoch: 8, clock: undefined, instanceId: 'one' })
  })

  test('of a reset has the epoch alone', () => {
    expect(readOffsetMetadata('epoch=9')).toEqual({ epoch: 9, clock: undefined, instanceId: undefined })
  })

  test.each(['', 'of another program', 'epoch=x', 'epoch=1 watermark=1.2.3 time=4', 'epoch=1 watermark=1'])(
    'of another program says nothing: %s',
    (text) => expect(readOffsetMetadata(text)).toBeUndefined(),
  )
})
