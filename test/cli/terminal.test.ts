// The status line and what is said around it. Keeps SPEC: CLI-1.
import { expect, test } from 'vitest'
import { statusLine } from '../../src/cli/job-run.ts'
import type { JobSnapshot } from '../../src/cli/running-job.ts'
import { Terminal } from '../../src/cli/terminal.ts'

function terminalOf(isTTY: boolean): { terminal: Terminal; text: () => string } {
  let text = ''
  const stderr = {
    isTTY,
    write: (more: string) => {
      text += more
    },
  }
  const stdout = {
    write: () => {
      throw new Error('nothing may go to stdout')
    },
  }
  return { terminal: new Terminal({ stdout, stderr }), text: () => text }
}

test('on a terminal the status line is redrawn below what is said', () => {
  const { terminal, text } = terminalOf(true)
  terminal.status('a')
  terminal.say('words')
  terminal.status('b')
  terminal.endStatus()
  terminal.say('end')
  expect(text().replaceAll('\r\u001b[2K', '<clear>')).toBe('<clear>a<clear>words\na<clear>b\nend\n')
})

test('elsewhere it is a line like others, without control characters', () => {
  const { terminal, text } = terminalOf(false)
  terminal.status('a')
  terminal.say('words')
  terminal.endStatus()
  expect(text()).toBe('a\nwords\n')
})

const snapshot: JobSnapshot = {
  records: 0,
  accepted: 0,
  late: 0,
  dead: 0,
  filtered: 0,
  expanded: 0,
  refused: 0,
  results: 100,
  recordsPerSecond: 20_123.4,
  latencyMsP50: 8.25,
  latencyMsP95: 20,
  latencyMsP99: 41.7,
  lagRecords: 1234,
  epochs: 1,
}

test('the status line has rates, latencies and lag, and late and dead records only when there are any', () => {
  expect(statusLine(snapshot, { ...snapshot, results: 1600 })).toBe(
    '20,123 records/s · 1,500 results/s · latency p50 8.3 p99 42 ms · lag 1,234',
  )
  expect(statusLine(snapshot, { ...snapshot, late: 3, dead: 1 })).toMatch(/ · late 3 · dead 1$/)
})
