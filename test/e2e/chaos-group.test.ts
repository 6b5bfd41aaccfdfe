// A slice of the chaos proof with several instances: real kills, joins and leaves on a real Kafka, every committed row compared.
// `npm run chaos -- --instances 3` is the long one.
// Holds SPEC: GROUP-1, GROUP-3, GROUP-4, EPOCH-4 (what is committed is neither lost nor doubled, whoever owns a partition).
import { expect, inject, test } from 'vitest'
import { clusterOn } from '../../bench/lib/cluster.ts'
import { runGroupChaos } from '../harness/chaos-group.ts'

test('three instances that are killed, leave and join give every row once and right', async () => {
  const cluster = clusterOn(inject('brokers'))
  const told: string[] = []
  const sessionMs = 6_000
  try {
    const result = await runGroupChaos(cluster, {
      instances: 3,
      kills: 3,
      seed: 2,
      recordsPerSecond: 3_000,
      partitions: 6,
      sessionMs,
      tell: (text) => told.push(text),
    })
    expect(result.examples, told.join('\n')).toEqual([])
    expect(result).toMatchObject({ kills: 3, joins: 1, leaves: 1, lost: 0, duplicated: 0, wrong: 0 })
    expect(result.rows).toBeGreaterThan(1_000)
    expect(result.takeovers).toBe(1)
    // A dead one is waited for, one that leaves is not.
    expect(result.leaveMsMax).toBeLessThan(sessionMs)
  } finally {
    await cluster.close()
  }
})
