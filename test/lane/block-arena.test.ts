// Memory of blocks: places never overlap, are used again, and go when nobody has them.
// Holds SPEC: LIMIT-1.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BlockArena, roomFor } from '../../src/lane/operators/block-arena.ts'

interface Block {
  place: number
  room: number
  mark: number
}

/** Writes the mark over all of the block. */
function mark(arena: BlockArena, { place, room, mark }: Block): void {
  const start = arena.startOf(place)
  arena.bytesAt(place).fill(mark, start, start + room)
}

function isWhole(arena: BlockArena, { place, room, mark }: Block): boolean {
  const start = arena.startOf(place)
  const bytes = arena.bytesAt(place).subarray(start, start + room)
  return bytes.length === room && bytes.every((byte) => byte === mark)
}

describe('the arena of blocks', () => {
  it('gives rooms of powers of two', () => {
    expect([0, 1, 256, 257, 1000, 4096, 4097, 100_000].map(roomFor)).toEqual([
      256,
      256,
      256,
      512,
      1024,
      4096,
      8192,
      2 ** 17,
    ])
  })

  it('gives no byte to two blocks, whatever comes and goes', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ bytes: fc.integer({ min: 1, max: 70_000 }) }) },
      { weight: 2, arbitrary: fc.record({ drop: fc.nat() }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const arena = new BlockArena()
        const live: Block[] = []
        for (const [i, one] of steps.entries()) {
          if ('bytes' in one) {
            const room = roomFor(one.bytes)
            const block = { place: arena.take(room), room, mark: 1 + (i % 255) }
            mark(arena, block)
            live.push(block)
          } else if (live.length > 0) {
            const [gone] = live.splice(one.drop % live.length, 1)
            expect(isWhole(arena, gone!)).toBe(true)
            arena.release(gone!.place, gone!.room)
          }
        }
        expect(live.every((block) => isWhole(arena, block))).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  it('uses places again: what comes and goes takes no more memory than is there at once', () => {
    const arena = new BlockArena()
    const waiting: Block[] = []
    for (let i = 0; i < 20_000; i++) {
      const room = roomFor(200 + (i % 4_000))
      waiting.push({ place: arena.take(room), room, mark: 0 })
      if (waiting.length > 500) {
        const { place, room } = waiting.shift()!
        arena.release(place, room)
      }
    }
    expect(arena.bytes).toBeLessThan(2 * waiting.reduce((sum, { room }) => sum + room, 0) + (1 << 20))
  })

  it('lets memory go when the blocks are gone', () => {
    const arena = new BlockArena()
    const blocks = Array.from({ length: 10_000 }, (_, i) => {
      const room = roomFor(i % 100 === 0 ? 200_000 : 2_000)
      return { place: arena.take(room), room }
    })
    expect(arena.bytes).toBeGreaterThan(40 << 20)
    for (const { place, room } of blocks) arena.release(place, room)
    expect(arena.bytes).toBeLessThan(4 << 20)
    // And it still gives.
    const block = { place: arena.take(1024), room: 1024, mark: 7 }
    mark(arena, block)
    expect(isWhole(arena, block)).toBe(true)
  })
})
