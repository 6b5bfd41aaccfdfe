// A slice of the chaos proof: real kills, a real Kafka, every committed row compared. `npm run chaos` is the long one.
// Holds SPEC: EPOCH-4, RECOVER-1 (what is committed is neither lost nor doubled by a kill).
import { expect, inject, test } from 'vitest'
import { clusterOn } from '../../bench/lib/cluster.ts'
import { runChaos } from '../harness/chaos.ts'

test('a job that is killed three times gives every row once and right', async () => {
  const cluster = clusterOn(inject('brokers'))
  const told: string[] = []
  try {
    const result = await runChaos(cluster, {
      kills: 3,
      seed: 5,
      recordsPerSecond: 4_000,
      partitions: 4,
      tell: (text) => told.push(text),
    })
    expect(result.examples, told.join('\n')).toEqual([])
    expect(result).toMatchObject({ kills: 3, lost: 0, duplicated: 0, wrong: 0 })
    expect(result.rows).toBeGreaterThan(1_000)
    expect(result.restarts).toBeGreaterThan(0)
  } finally {
    await cluster.close()
  }
})
