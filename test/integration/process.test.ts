// Timers of `process` by the clock, on a real Kafka: they come without records, and after a kill -9. Holds SPEC: PROCESS-7.
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import { BrokerJob } from '../harness/broker-job.ts'
import type { CommandProcess } from '../harness/command-process.ts'

const CALL_MS = 30_000
const encoder = new TextEncoder()

let rig: BrokerJob
beforeEach(() => {
  rig = new BrokerJob('process', inject('brokers'))
})
afterEach(() => rig.end())

function jobText({ name }: BrokerJob): string {
  return `import { job, json, kafka } from 'millrace'
    export default job('${name}')
      .from(kafka('${name}-in', { value: json<{ id: string; ts: number; waitMs: number }>(), key: 'id', eventTime: 'ts' }))
      .keyBy('id')
      .process('waits', {
        onRecord({ waitMs }, ctx) {
          ctx.state.set(ctx.wallMs + waitMs)
          ctx.timers.atWall(ctx.wallMs + waitMs)
        },
        onTimer(timer, ctx) {
          ctx.emit(ctx.key + ' ' + timer.clock + ' ' + (timer.timeMs === ctx.state.get() && ctx.wallMs >= timer.timeMs))
          ctx.state.delete()
        },
      })
      .to(kafka('${name}-out', { value: json() }))`
}

async function send(...records: { id: string; waitMs: number }[]): Promise<void> {
  const writer = new FrameWriter()
  const ts = Date.now()
  for (const record of records) {
    writer.append(0, 0, ts, encoder.encode(record.id), encoder.encode(JSON.stringify({ ...record, ts })))
  }
  await rig.send(writer, ['in'])
}

const run = (): CommandProcess => rig.run(jobText(rig), '--lanes', '1')

/** The committed rows of the sink. */
const rows = async (): Promise<string[]> => (await rig.values('out', [0])).map((value) => JSON.parse(value))

test('timers by the clock come without records, and those that waited at a kill -9 come after it, once', async () => {
  await rig.makeTopics({ in: 1, out: 1 })
  const first = run()
  await first.saying(/ready in/)
  await send({ id: 'soon', waitMs: 300 }, { id: 'later', waitMs: 4_000 })
  await expect.poll(rows, { timeout: CALL_MS }).toContain('soon wall true')
  first.child.kill('SIGKILL')
  await first.exit()
  const second = run()
  await expect.poll(rows, { timeout: CALL_MS }).toEqual(['soon wall true', 'later wall true'])
  second.child.kill('SIGTERM')
  expect(await second.exit(), second.stderr).toBe(0)
  expect(await rows()).toEqual(['soon wall true', 'later wall true'])
})
