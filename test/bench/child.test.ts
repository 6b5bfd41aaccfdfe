// Child processes of benches: their result is the last line, a failure is told, and none outlives its parent.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, describe, expect, test } from 'vitest'
import { type Child, programArgs, resultOf, runProgram, startChild } from '../../bench/lib/child.ts'
import { packageRoot } from '../../src/ops/package-root.ts'

const children: Child[] = []
function start(code: string, onLine?: (line: string) => void): Child {
  const options = { showsErrors: false, ...(onLine === undefined ? {} : { onLine }) }
  const child = startChild(['-e', code], options)
  children.push(child)
  return child
}

afterAll(() => {
  for (const child of children) if (!child.hasEnded) child.kill('SIGKILL')
})

describe('a child process', () => {
  test('gives the object of its last line and its lines as they come', async () => {
    const lines: string[] = []
    const child = start(`console.log('words'); console.log('{"a":1}')`, (line) => lines.push(line))
    expect(await resultOf('it', child)).toEqual({ a: 1 })
    expect(lines).toEqual(['words', '{"a":1}'])
    expect(child.hasEnded).toBe(true)
  })

  test('that fails is an error with its code and the end of what it said', async () => {
    const child = start(`console.error('no luck'); process.exit(3)`)
    await expect(resultOf('it', child)).rejects.toThrow(/it ended with code 3: no luck/)
  })

  test('that says no JSON is an error', async () => {
    await expect(resultOf('it', start(`console.log('hello')`))).rejects.toThrow(
      'did not end with a line of JSON but with: hello',
    )
  })

  test('is ended by the signal that it is sent', async () => {
    const child = start(`console.log('up'); setInterval(() => {}, 1000)`, () => child.kill('SIGKILL'))
    await expect(resultOf('it', child)).rejects.toThrow('it ended with SIGKILL')
  })
})

describe('a TypeScript program of the repository', () => {
  test('is bundled, knows its own place and gets its arguments', async () => {
    const entry = 'test/bench/programs/echo.ts'
    expect(await runProgram(entry, ['--x', '1'], { ECHO: 'hello' })).toEqual({
      args: ['--x', '1'],
      echo: 'hello',
      url: `file://${packageRoot()}/${entry}`,
    })
  })

  test('takes its children with it when it is ended', async () => {
    const [node, script, ...args] = [process.execPath, ...programArgs('test/bench/programs/parent.ts')]
    const parent = spawn(node!, [script!, ...args], {
      env: { ...process.env, RUN_TS_IS_SET_UP: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [pid] = (await once(parent.stdout.setEncoding('utf8'), 'data')) as [string]
    const ended = once(parent, 'close')
    parent.kill('SIGTERM')
    expect((await ended)[0]).toBe(143)
    await expect.poll(() => isAlive(Number(pid)), { timeout: 5_000 }).toBe(false)
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
