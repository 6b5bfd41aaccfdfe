// Asking again until a partition has its leader. Keeps SPEC: KAFKA-9.
import { describe, expect, test } from 'vitest'
import { untilLed } from '../../src/kafka/leader-wait.ts'
import { KafkaError } from '../../src/kafka/port.ts'

function failure(name: string): KafkaError {
  const message = `Broker: ${name}`
  return new KafkaError({ code: 6, name, message, isFatal: false, isRetriable: false, requiresAbort: false })
}

/** Fails with these names, one a call, and then answers. */
function failing(...names: string[]) {
  const left: number[] = []
  const ask = (leftMs: number): Promise<number> => {
    left.push(leftMs)
    const name = names[left.length - 1]
    return name === undefined ? Promise.resolve(42) : Promise.reject(failure(name))
  }
  return { ask, left }
}

describe('a question to a partition', () => {
  test('is asked again while there is no leader, with what is left of its time', async () => {
    const { ask, left } = failing('UNKNOWN_TOPIC_OR_PART', 'NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE')
    expect(await untilLed(ask, 10_000)).toBe(42)
    expect(left).toHaveLength(4)
    expect(left[0]).toBe(10_000)
    expect(left[3]).toBeLessThan(left[0]! - 140)
  })

  test('ends with its last failure when no leader comes in time', async () => {
    const { ask, left } = failing(...new Array<string>(100).fill('NOT_LEADER_FOR_PARTITION'))
    await expect(untilLed(ask, 200)).rejects.toMatchObject({ failure: { name: 'NOT_LEADER_FOR_PARTITION' } })
    expect(left.length).toBeGreaterThan(1)
    expect(left.length).toBeLessThan(6)
  })

  test('fails at once for any other reason', async () => {
    const { ask, left } = failing('TOPIC_AUTHORIZATION_FAILED')
    await expect(untilLed(ask, 10_000)).rejects.toMatchObject({ failure: { name: 'TOPIC_AUTHORIZATION_FAILED' } })
    expect(left).toHaveLength(1)
  })
})
