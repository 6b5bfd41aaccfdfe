// The flights example on a slice of the file, on a real Kafka, killed once; and its README against the whole file.
// Holds SPEC: EXAMPLE-1 (the answer is that of a computation of its own, on lanes and after a kill).
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, inject, test } from 'vitest'
import { programArgs, resultOf, startChild } from '../../bench/lib/child.ts'
import { expectedOf, hourCells, worstHours } from '../../examples/flights/expected.ts'
import { readFlights } from '../../examples/flights/flight-file.ts'
import type { FlightRun } from '../../examples/flights/job-runs.ts'

const root = resolve(import.meta.dirname, '../..')

interface Result {
  records: number
  accepted: number
  late: number
  runs: FlightRun[]
}

test('100,000 flights give the right rows on one lane, on two, and when the job is killed in the middle', async () => {
  const args = programArgs('examples/flights/run.ts', ['--records', '100000', '--json'])
  const env = { KAFKA_BROKERS: inject('brokers'), RUN_TS_IS_SET_UP: '1' }
  const result = await resultOf<Result>('the example', startChild(args, { env }))
  expect(result).toMatchObject({ command: 'example:flights', correct: true, records: 100_000, dead: 0, filtered: 0 })
  expect(result.late).toBeGreaterThan(100)
  expect(result.accepted).toBe(100_000 - result.late)
  expect(result.runs.map(({ lanes, correct }) => ({ lanes, correct }))).toEqual([
    { lanes: 1, correct: true },
    { lanes: 2, correct: true },
    { lanes: 2, correct: true },
  ])
  for (const { differences } of result.runs) {
    expect(differences.hours).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
    expect(differences.hours.records).toBeGreaterThan(10_000)
    expect(differences.late.records).toBe(result.late)
  }
  const killed = result.runs[2]!
  expect(killed.committedAtKill).toBeGreaterThan(50_000)
  expect(killed.records).toBeLessThanOrEqual(100_000 - killed.committedAtKill!)
})

test('the README of the example says what the whole file gives', async () => {
  const text = readFileSync(join(root, 'examples/flights/README.md'), 'utf8')
  const expected = expectedOf(await readFlights(), 4)
  const table = worstHours(expected).map((row) => `| ${hourCells(row).join(' | ')} |`)
  const lines = text.split('\n').map((line) => line.replaceAll(/ +/g, ' '))
  expect(lines.filter((line) => /^\| [A-Z]{3} \|/.test(line))).toEqual(table)
  const { records, accepted, late, dead, hours } = expected
  expect(JSON.parse(/```json\n([^`]+)```/.exec(text)![1]!)).toEqual({
    command: 'example:flights',
    records,
    accepted,
    late: late.size,
    dead: dead.size,
    filtered: 0,
    results: hours.size,
    correct: true,
  })
})

test('an example that there is not is answered with those that there are', () => {
  const run = spawnSync(process.execPath, ['scripts/example.mjs', 'trains', '--json'], { cwd: root, encoding: 'utf8' })
  expect(run.status).toBe(2)
  expect(run.stderr).toBe('there is no example trains; there are: flights\n')
  expect(JSON.parse(run.stdout)).toEqual({
    command: 'example',
    correct: false,
    error: { message: 'there is no example trains', names: ['flights'] },
  })
})
