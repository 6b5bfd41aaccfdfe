// The log's two shapes. Keeps SPEC: LOG-1.
import { expect, test } from 'vitest'
import { createLog, type LogOptions, prettyLine } from '../../src/ops/log.ts'

function linesOf(options: Partial<LogOptions>, use: (log: ReturnType<typeof createLog>) => void): string[] {
  const lines: string[] = []
  use(createLog({ level: 'info', format: 'auto', isTerminal: false, write: (line) => lines.push(line), ...options }))
  return lines
}

test('without a terminal each line is one JSON object with level, time, message and details', () => {
  const [line, ...rest] = linesOf({}, (log) => log.info({ lanes: 2 }, 'started'))
  expect(rest).toEqual([])
  const parsed = JSON.parse(line!)
  expect(parsed).toMatchObject({ level: 'info', msg: 'started', lanes: 2 })
  expect(Math.abs(Date.parse(parsed.time) - Date.now())).toBeLessThan(60_000)
})

test('on a terminal lines are for people, unless JSON is asked for', () => {
  expect(linesOf({ isTerminal: true }, (log) => log.warn({ lane: 1, topic: 'a b' }, 'slow'))[0]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} WARN {2}slow lane=1 topic="a b"\n$/,
  )
  expect(linesOf({ isTerminal: true, format: 'json' }, (log) => log.warn('slow'))[0]).toMatch(/^\{/)
})

test('lines below the level are not written', () => {
  expect(linesOf({ level: 'warn' }, (log) => log.info('quiet'))).toEqual([])
})

test('an error keeps its stack in both shapes', () => {
  const log = (write: ReturnType<typeof createLog>) => write.error({ err: new RangeError('broken') }, 'failed')
  expect(JSON.parse(linesOf({}, log)[0]!).err.stack).toMatch(/RangeError: broken/)
  expect(linesOf({ format: 'pretty' }, log)[0]).toMatch(/ERROR failed\nRangeError: broken\n {4}at /)
})

test('a pretty line survives a missing message', () => {
  expect(prettyLine('{"level":"info","time":"2026-01-01T10:20:30.400Z","a":1}')).toBe('10:20:30.400 INFO   a=1\n')
})
