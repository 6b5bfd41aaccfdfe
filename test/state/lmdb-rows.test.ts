// Rows of a write, encoded beside a busy lane. Quick.
// Keeps SPEC: LIMIT-1 (what is not on disk does not grow while it is written).

import { expect, test } from 'vitest'
import { encodeRows } from '../../src/state/lmdb-rows.ts'
import { RowHash } from '../../src/state/row-hash.ts'

/** Takes so long in each turn of the event loop, until it is stopped. Gives how many there were. */
function busyLoop(turnMs: number): () => number {
  let turns = 0
  let isStopped = false
  const turn = (): void => {
    if (isStopped) return
    turns++
    for (const untilMs = performance.now() + turnMs; performance.now() < untilMs; );
    setImmediate(turn)
  }
  setImmediate(turn)
  return () => {
    isStopped = true
    return turns
  }
}

test('a large write takes its share of the time of a busy loop', async () => {
  const rowCount = 200_000
  const key = new Uint8Array(12)
  const rows = Array.from({ length: rowCount }, (): [Uint8Array, Uint8Array] => [key, key])
  const stop = busyLoop(10)
  const { keys } = await encodeRows(rows, new RowHash(), () => -1)
  const turns = stop()
  expect(keys).toHaveLength(rowCount)
  // 512 rows a turn would be 390 turns, in which a lane changes far more rows than these.
  expect(turns).toBeLessThan(100)
  expect(turns).toBeGreaterThan(0)
})
