// The program: exit codes, streams, JSON lines. Keeps SPEC: CLI-1, CLI-2, CLI-3, ERR-1.
import { describe, expect, test } from 'vitest'
import { runCli } from '../../src/cli/program.ts'
import { ERRORS } from '../../src/core/errors.ts'
import { packageVersion } from '../../src/ops/package-root.ts'

async function called(...args: string[]) {
  const written = { stdout: '', stderr: '' }
  const stream = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written[name] += text
    },
  })
  const code = await runCli(args, { stdout: stream('stdout'), stderr: stream('stderr') }, {})
  const lines = written.stdout.trimEnd().split('\n')
  return { code, ...written, json: args.includes('--json') ? JSON.parse(lines.at(-1)!) : undefined }
}

describe('millrace', () => {
  test('prints its version, as JSON too', async () => {
    expect(await called('--version')).toMatchObject({ code: 0, stdout: `${packageVersion()}\n`, stderr: '' })
    expect((await called('--version', '--json')).json).toEqual({ command: 'version', version: packageVersion() })
  })

  test('prints help to stdout when asked', async () => {
    const { code, stdout, stderr } = await called('--help')
    expect([code, stderr]).toEqual([0, ''])
    for (const command of ['run', 'serve', 'plan', 'test', 'capture', 'reset', 'demo', 'gen', 'health', 'explain'])
      expect(stdout).toContain(`  ${command} `)
    expect((await called('run', '--help')).stdout).toMatch(/--limits-poll-bytes-max <value> +bytes from/)
  })

  test.each([
    [[], 'a command is needed: run, serve, plan, test, capture, reset, demo, gen trades, health, explain'],
    [['rum'], "unknown command 'rum'"],
    [['run'], "missing required argument 'job'"],
    [['run', 'job.ts', '--http-prot', '1'], "unknown option '--http-prot' (Did you mean --http-port?)"],
    [['gen', 'trades', '--records', 'many'], 'Expected a whole number from 1 to 1000000000000.'],
    [['serve'], 'a job file or --view is needed'],
    [['serve', '--view', 'prices'], '--view prices: expected name=topic, name=topic:json or name=topic:msgpack'],
    [['serve', '--view', 'a=b', '--view', 'a=c'], 'there are two views a'],
    [['serve', '--view', 'a=b', '--wait', '15'], '--wait 15: expected a duration as 15s'],
    [['serve', '--view', 'a=b', '--lanes', '2'], "unknown option '--lanes'"],
    [['explain'], "missing required argument 'code'"],
    [['reset', 'job.ts'], "required option '--to <place>' not specified"],
    [['reset', 'job.ts', '--to', 'soon'], '--to soon: expected earliest, latest, <partition>:<offset>,...'],
    [['reset', 'job.ts', '--to', 'latest', '--wait', '15'], '--wait 15: expected a duration as 15s'],
  ])('refuses %j with exit code 2, words on stderr and nothing on stdout', async (args, words) => {
    const { code, stdout, stderr } = await called(...args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('MR3002 ')
    expect(stderr).toContain(words)
  })

  test('ends with a JSON line when it fails too', async () => {
    const { code, json } = await called('run', 'job.ts', '--lanes', 'none', '--json')
    expect(code).toBe(2)
    expect(json).toMatchObject({ command: 'run', error: { code: 'MR3001', remedy: ERRORS.MR3001.remedy } })
    expect(json.error.message).toContain('flag --lanes: lanes must be a whole number from 1 to 256, not "none"')
  })
})

describe('explain', () => {
  test.each(Object.entries(ERRORS))('%s has its words from the table', async (code, row) => {
    expect((await called('explain', code, '--json')).json).toEqual({ command: 'explain', code, ...row })
  })

  test('tells people text, action and remedy, in any case of letters', async () => {
    const { code, stdout } = await called('explain', 'mr4002')
    expect(code).toBe(0)
    expect(stdout).toBe(
      'MR4002: There is no topic {topic}.\nThen: the process stops.\nRemedy: Create it. `--create-topics` makes missing sinks and internal topics, never the source.\n',
    )
  })

  test('refuses an unknown code with the nearest one', async () => {
    const { code, json } = await called('explain', 'MRR4002', '--json')
    expect(code).toBe(2)
    expect(json.error.message).toBe('MR3003 There is no error code MRR4002 (did you mean MR4002?).')
  })
})

describe('plan', () => {
  test('shows the plan of the example with the path of each operator, without a broker', async () => {
    const { code, json } = await called('plan', 'test/harness/candles-job.ts', '--json')
    expect(code).toBe(0)
    expect(json).toMatchObject({
      command: 'plan',
      job: 'candles',
      plan: { formatVersion: 1 },
      planHash: expect.any(String),
    })
    expect(json.topics).toContain('candles-1s')
    expect(json.paths.map((path: { kind: string; path: string }) => [path.kind, path.path])).toEqual([
      ['filter', 'fast'],
      ['keyBy', 'fast'],
      ['window', 'none'],
      ['aggregate', 'fast'],
      ['late', 'none'],
      ['to', 'none'],
      ['view', 'none'],
    ])
    expect(json.paths[3].why).toBe('reads price, qty from the bytes')
  })

  test('tells people the same in lines', async () => {
    const { stdout } = await called('plan', 'test/harness/candles-job.ts')
    expect(stdout).toMatch(
      /^job candles\nfrom trades +msgpack, key sym, event time ts, out of order 2s.*\n└─ filter-1 \(qty\) +fast +reads qty from the bytes\n/,
    )
  })

  test('refuses a file that is not there with exit code 2', async () => {
    const { code, json } = await called('plan', 'none.ts', '--json')
    expect([code, json.error.code]).toEqual([2, 'MR1005'])
  })
})
