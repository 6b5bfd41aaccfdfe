// The demo as a user starts it: one command, a broker inside, an answer that is checked. Keeps SPEC: CLI-3, R3, COUNT-1.
import { afterEach, expect, test } from 'vitest'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'

afterEach(endCommandProcesses)

test('ends by itself with every trade counted once and the late ones being those of the stream', async () => {
  const demo = new CommandProcess([LAUNCHER, 'demo', '--seconds', '3', '--rate', '5000', '--json'])
  expect(await demo.exit(), demo.stderr).toBe(0)
  expect(demo.stdout.trimEnd().split('\n')).toHaveLength(1)
  const result = demo.json()
  expect(result).toMatchObject({ command: 'demo', correct: true, records: 15_000, dead: 0, filtered: 0 })
  // Seconds go on as records of the minutes, and minutes as those of the hours.
  expect(Number(result.accepted) + Number(result.late)).toBe(15_000 + Number(result.expanded))
  expect(result.results).toBeGreaterThanOrEqual(Number(result.accepted))
  expect(result.latencyMsP99).toBeGreaterThan(0)
  expect(demo.stderr).toContain('proves nothing about exactly-once')
})

test('serves its page and its health, and ends cleanly at Ctrl-C', async () => {
  const demo = new CommandProcess([LAUNCHER, 'demo', '--rate', '2000', '--json'])
  await demo.saying(/records\/s/)
  const [, admin] = await demo.saying(/health and metrics: (\S+)/)
  const [, page] = await demo.saying(/views, open it in a browser: (\S+)/)
  expect((await fetch(`${admin}/readyz`)).status).toBe(200)
  const dashboard = await (await fetch(page!)).text()
  expect(dashboard).toContain('<title>Candles · Millrace</title>')
  for (const file of ['main.js', 'main.css', 'icon.svg']) expect((await fetch(`${page}${file}`)).status).toBe(200)
  demo.child.kill('SIGINT')
  expect(await demo.exit(), demo.stderr).toBe(0)
  expect(demo.json()).toMatchObject({ command: 'demo', correct: true })
  expect(demo.stderr).toContain('SIGINT: stopping')
})
