// The cases of the growth bench: one thing differs from the base.
import { describe, expect, test } from 'vitest'
import { readArguments } from '../../bench/lib/arguments.ts'
import { BASE, GROUPS, growCases, recordsOf } from '../../bench/lib/grow-cases.ts'

/** What each group may change; more keys may also come by another law, denser, or with less memory. */
const CHANGES = {
  keys: ['keys', 'spread', 'eventRate', 'stateMemoryBytesMax'],
  partitions: ['partitions'],
  lanes: ['lanes'],
  values: ['valueBytes'],
  envelopes: ['events'],
}

describe('the cases of growth', () => {
  test.each(GROUPS)('%s grow from the base alone, between two runs of it', (group) => {
    const cases = growCases(group)
    expect(cases[0]).toEqual(BASE)
    expect(cases.at(-1)).toEqual({ ...BASE, name: 'base again' })
    for (const one of cases.slice(1, -1)) {
      const names = Object.keys(BASE) as (keyof typeof BASE)[]
      const changed = names.filter((name) => one[name] !== BASE[name])
      const allowed: readonly string[] = ['name', 'group', 'recordsShare', ...CHANGES[group]]
      expect(changed.filter((name) => !allowed.includes(name))).toEqual([])
      expect(one.group).toBe(group)
    }
  })

  test('all groups together have each case once', () => {
    const names = growCases().map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toEqual([
      'base',
      ...GROUPS.flatMap((group) =>
        growCases(group)
          .slice(1, -1)
          .map(({ name }) => name),
      ),
      'base again',
    ])
  })

  test('get whole envelopes, and fewer records where one costs more', () => {
    expect(recordsOf(BASE, 1_001)).toBe(1_001)
    expect(recordsOf({ ...BASE, events: 50 }, 1_001)).toBe(1_000)
    expect(recordsOf({ ...BASE, recordsShare: 0.025 }, 10)).toBe(1)
  })

  test('are chosen by one word', () => {
    expect(readArguments(['--only', 'keys', '--json'], {}, { only: GROUPS })).toEqual({ only: 'keys' })
    expect(readArguments([], {}, { only: GROUPS })).toEqual({ only: undefined })
    expect(() => readArguments(['--only', 'rows'], {}, { only: GROUPS })).toThrow('--only must be one of keys')
  })
})
