// The drawing of kills: from the seed alone, and of the announced kinds.
import { describe, expect, test } from 'vitest'
import { drawGroupEvents, drawKills } from './chaos-plan.ts'

describe('the plan of a chaos run', () => {
  test('is the same for a seed, and another for another seed', () => {
    expect(drawKills(1, 20)).toEqual(drawKills(1, 20))
    expect(drawKills(1, 20)).not.toEqual(drawKills(2, 20))
  })

  test('hits a quarter of the processes while they start and takes the state of half of the restarts', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const kills = drawKills(seed, 20)
      expect(kills.filter(({ when }) => when === 'starting')).toHaveLength(5)
      expect(kills.filter(({ wipesState }) => wipesState)).toHaveLength(10)
    }
  })

  test('draws moments over the whole of a start and of a run', () => {
    const kills = Array.from({ length: 50 }, (_, seed) => drawKills(seed, 20)).flat()
    for (const [when, min, max] of [
      ['starting', 50, 900],
      ['running', 0, 1_500],
    ] as const) {
      const moments = kills.filter((kill) => kill.when === when).map(({ afterMs }) => afterMs)
      expect(Math.min(...moments)).toBeGreaterThanOrEqual(min)
      expect(Math.max(...moments)).toBeLessThanOrEqual(max)
      expect(Math.min(...moments)).toBeLessThan(min + (max - min) * 0.1)
      expect(Math.max(...moments)).toBeGreaterThan(max - (max - min) * 0.1)
    }
  })
})

describe('the plan of a chaos run with several instances', () => {
  test('is the same for a seed, and keeps to the announced shares', () => {
    expect(drawGroupEvents(1, 50)).toEqual(drawGroupEvents(1, 50))
    for (const seed of [1, 2, 3, 4, 5]) {
      const events = drawGroupEvents(seed, 40)
      const kills = events.flatMap((event) => (event.kind === 'kill' ? [event] : []))
      expect(kills).toHaveLength(40)
      expect(kills.filter(({ wipesState }) => wipesState)).toHaveLength(20)
      expect(kills.filter(({ staysAway }) => staysAway)).toHaveLength(6)
      expect(kills.filter(({ staysAway, when }) => staysAway && when === 'starting')).toEqual([])
    }
  })

  test('has as many leaves as joins, and never two leaves without a join between them', () => {
    for (let seed = 0; seed < 50; seed++) {
      const moves = drawGroupEvents(seed, 30).flatMap(({ kind }) => (kind === 'kill' ? [] : [kind]))
      expect(moves).toEqual(['leave', 'join', 'leave', 'join', 'leave', 'join'])
    }
  })
})
