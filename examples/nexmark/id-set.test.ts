// The set of ids, as a list and as bits, beside a Set. Run: npx vitest run examples/nexmark
import { expect, test } from 'vitest'
import { addId, emptyIdSet } from './id-set.ts'
import { Random } from './random.ts'

/** Adds the ids and compares the size each time. */
function added(ids: readonly number[]) {
  const [set, known] = [emptyIdSet(), new Set<number>()]
  const wrong = ids.filter((id) => {
    addId(set, id)
    return set.size !== known.add(id).size
  })
  expect(wrong).toEqual([])
  return set
}

test('few ids far apart are a list, many close together are bits', () => {
  expect(added([64, 1_000, 64])).toEqual({ size: 2, ids: [64, 1_000], words: [] })
  expect(added([0, 31, 32, 31])).toEqual({ size: 3, ids: [], words: [-(2 ** 31) + 1, 1] })
})

test.each([100, 5_000, 100_000])('counts each of ids to %d once', (limit) => {
  const random = new Random(1)
  const set = added(Array.from({ length: 3_000 }, (_, i) => random.goTo(i).below(limit)))
  expect(set.words.length > 0).toBe(limit < 100_000)
  // As it comes back from the state.
  const restored = JSON.parse(JSON.stringify(set)) as typeof set
  const { size } = restored
  addId(restored, random.goTo(0).below(limit))
  expect(restored.size).toBe(size)
})
