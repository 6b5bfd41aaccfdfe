// Interned keys against a map: keys come and go, ids and arena are used again. Quick.
// Keeps SPEC: STATE-4 (a key without rows occupies zero entries after the next seal).

import { describe, expect, test } from 'vitest'
import { KeyTable } from '../../src/state/key-table.ts'
import { text } from './backend-cases.ts'

function keyText(table: KeyTable, keyId: number): string {
  const start = table.starts[keyId]!
  return Buffer.from(table.arena.subarray(start, start + table.lengths[keyId]!)).toString()
}

function intern(table: KeyTable, name: string): number {
  const key = text(`..${name}..`)
  return table.intern(key, 2, key.length - 4)
}

describe('a key table', () => {
  test('gives a key the same id, whatever else is forgotten around it', () => {
    const table = new KeyTable()
    const ids = new Map<string, number>()
    // A fixed walk: 40 rounds in which a third of the keys goes and others come.
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 100; i++) {
        const name = `key-${round}-${i}`
        const keyId = intern(table, name)
        table.addRow(keyId, 1000, keyId)
        ids.set(name, keyId)
      }
      for (const [name, keyId] of [...ids].filter((_, i) => (i * 7 + round) % 3 === 0)) {
        table.removeRow(keyId, keyId)
        ids.delete(name)
      }
      table.sweep()
      expect(table.keyCount).toBe(ids.size)
      for (const [name, keyId] of ids) {
        if (intern(table, name) !== keyId || keyText(table, keyId) !== name) throw new Error(`${name} lost its id`)
      }
      expect(new Set(ids.values()).size).toBe(ids.size)
    }
  })

  test('uses ids and arena again when keys go', () => {
    const table = new KeyTable()
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < 50; i++) {
        const keyId = intern(table, `a-key-of-round-${round}-${i}`)
        expect(keyId).toBeLessThan(50)
        table.addRow(keyId, round, keyId)
        table.removeRow(keyId, keyId)
      }
      table.sweep()
      expect([table.keyCount, table.liveBytes]).toEqual([0, 0])
    }
    expect(table.arena.length).toBeLessThan(1 << 14)
  })

  test('forgets at once a key that nobody else knows', () => {
    const table = new KeyTable()
    const kept = intern(table, 'kept')
    table.addRow(kept, 0, 0)
    for (let i = 0; i < 10_000; i++) table.forgetNow(intern(table, `passing-${i}`))
    expect([table.keyCount, table.liveBytes, keyText(table, kept)]).toEqual([1, 4, 'kept'])
    expect(table.arena.length).toBe(1 << 12)
    table.sweep()
    expect(intern(table, 'kept')).toBe(kept)
  })
})
