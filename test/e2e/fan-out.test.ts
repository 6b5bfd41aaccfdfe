// The push bench in a small size, each server in turn: all rows come to all clients, in their order. Holds SPEC: PUSH-1.
import { expect, test } from 'vitest'
import { KINDS } from '../../bench/lib/fan-out.ts'
import { fanOut } from '../../bench/lib/fan-out-run.ts'

test.each(KINDS)(
  '%s',
  async (kind) => {
    const step = await fanOut(kind, 200, { clients: 20, keys: 50, seconds: 1 })
    expect(step.rows).toBeGreaterThan(100)
    expect(step).toMatchObject({ deliveries: step.rows * 20, gaps: 0, missing: 0, conflated: 0 })
    expect(step.latencyMsP50).toBeGreaterThan(0)
  },
  60_000,
)
