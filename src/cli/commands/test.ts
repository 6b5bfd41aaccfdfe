// `millrace test JOB --input LINES`: runs a job without a broker on what the lines say, and prints what it gives. Main thread.
// Keeps SPEC: TEST-7, CLI-1.

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { MillraceError } from '../../core/errors.ts'
import type { TestJob, TestJobOptions } from '../../testing/test-job.ts'
import type { CommandSpec } from '../command.ts'
import { loadJob } from '../load-job.ts'
import { wholeNumber } from '../number-argument.ts'

const PARTITIONS_MAX = 1_000
const LANES_MAX = 64

interface TestOptions extends TestJobOptions {
  input: string
  each?: boolean
  commitEach?: boolean
}

export const test: CommandSpec = {
  define: (program) =>
    program
      .command('test')
      .argument('<job>', 'file that exports a job as its default (.ts or .js)')
      .description('run a job on lines of JSON, with Kafka in memory and a clock that the lines move')
      .requiredOption(
        '--input <file>',
        'lines {topic, key, value, timestamp, partition, headers}, {flush}, {advanceWallMs}, {advanceToMs} or {end}; - is stdin',
      )
      .option('--each', 'process every record, and emit what it gives, before the next')
      .option('--commit-each', 'and commit it')
      .option('--partitions <count>', 'partitions of the source', wholeNumber(1, PARTITIONS_MAX), 1)
      .option('--lanes <count>', 'lanes, all in one thread', wholeNumber(1, LANES_MAX), 1)
      .option('--seed <number>', 'cut frames and epochs at random by it', wholeNumber(0, 2 ** 32 - 1))
      .option('--start-ms <time>', 'wall clock at the start', wholeNumber(0, 1e15), 0),
  jsonFields: {
    job: 'name of the job',
    records: 'records of the input',
    rows: 'rows of its sinks and views; each is a line before: kind (row, late, dead), topic, partition, key, value, timestamp, headers; of a row phase, windowStart, windowEnd; of a late record windowStart, windowEnd, watermark, lateBy; of a dead one code, text, source',
    late: 'late records that were written',
    dead: 'dead records',
    counts: 'what became of the records: in + expanded = accepted + late + dead + filtered; results',
    watermarkMs: 'the least watermark of all partitions; null before a record of each and after the end',
    state: 'rows that are left, by stateful operator',
  },
  async run([jobFile], options, { terminal }) {
    const given = options as unknown as TestOptions
    const { job } = await loadJob(jobFile!)
    const { testJob } = await import('../../testing/test-job.ts')
    const { outputLine, rowWindows, takeLine } = await import('../../testing/json-lines.ts')
    const windows = rowWindows(job)
    const t = testJob(job, driverOptions(given))
    const told = { records: 0, row: 0, late: 0, dead: 0, all: 0 }
    const tell = (): void => {
      for (const output of t.allOutputs(told.all)) {
        told[output.kind]++
        told.all++
        terminal.data(outputLine(output, windows))
      }
    }
    let number = 0
    for await (const line of await linesOf(given.input)) {
      number++
      if (line.trim() === '') continue
      if (await takeLine(t, line, number)) {
        told.records++
        await afterRecord(t, given)
      }
      tell()
    }
    await t.flush()
    tell()
    terminal.say(`${told.records} records, ${told.row} rows, ${told.late} late, ${told.dead} dead`)
    const state = Object.fromEntries(Object.entries(t.state()).map(([operator, rows]) => [operator, rows.length]))
    const { records, row: rows, late, dead } = told
    const { counts, watermarkMs } = t
    return { command: 'test', job: job.plan.job, records, rows, late, dead, counts, watermarkMs, state }
  },
}

function driverOptions({ partitions, lanes, seed, startMs }: TestOptions): TestJobOptions {
  const options: TestJobOptions = {}
  if (partitions !== undefined) options.partitions = partitions
  if (lanes !== undefined) options.lanes = lanes
  if (seed !== undefined) options.seed = seed
  if (startMs !== undefined) options.startMs = startMs
  return options
}

async function afterRecord(t: TestJob, { each, commitEach }: TestOptions): Promise<void> {
  if (commitEach) await t.flush()
  else if (each) await t.process()
}

async function linesOf(input: string): Promise<AsyncIterable<string>> {
  if (input !== '-') {
    const found = await stat(input).catch((error: NodeJS.ErrnoException) => error.code ?? 'unknown error')
    if (typeof found === 'string') throw new MillraceError('MR3002', { reason: `--input ${input}: ${found}` })
  }
  return createInterface({ input: input === '-' ? process.stdin : createReadStream(input), crlfDelay: Infinity })
}
