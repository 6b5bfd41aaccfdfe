// The rows that the operators of a job keep, read from its changelog: what a restart would have. Test processes, main thread.
// Keeps SPEC: STATE-4 (a key without a live window occupies zero entries).

import type { FrameRecord } from '../core/frame.ts'
import type { CompiledJob } from '../job/plan.ts'
import type { TableLayout } from '../lane/chain-state.ts'
import { compilePipelines } from '../lane/compile.ts'
import { isMarkerKey, PLAIN_PREFIX_BYTES, readOperatorId, readWindowEndMs, WINDOW_PREFIX_BYTES } from '../state/keys.ts'
import { readSlots, unpackCells } from '../state/row-codec.ts'
import { testLimits } from './test-limits.ts'

/** A row of a stateful operator, as it is stored. */
export interface StateRow {
  key: string
  partition: number
  /** End of its window, ms since the epoch; undefined: it has none, or one that may still move. */
  windowEndMs: number | undefined
  /** The accumulators of the row, as numbers and, where an aggregate keeps them, other values. */
  slots: number[]
  cells: unknown[]
}

const textDecoder = new TextDecoder()

/**
 * The live rows by stateful operator; an operator without rows has an empty list.
 * `changelogs`: the committed records of each partition, in their order, of each unit that keeps state.
 *
 * @example
 * stateRows(job, [[kafka.log('candles-changelog', 0)]]) // { '1s-aggregate': [{ key: 'A', windowEndMs: 1000, ... }] }
 */
export function stateRows(
  job: CompiledJob,
  changelogs: readonly (readonly FrameRecord[][])[],
): Record<string, StateRow[]> {
  const units = storedTables(job)
  const rows: Record<string, StateRow[]> = Object.fromEntries(units.flat().map(({ operator }) => [operator, []]))
  units
    .filter((tables) => tables.length > 0)
    .forEach((tables, nth) => {
      changelogs[nth]?.forEach((records, partition) => {
        for (const { key, value } of liveRecords(records)) {
          const table = tables.find(({ operatorId }) => operatorId === readOperatorId(key))
          if (table === undefined) throw new RangeError(`a row of the changelog is of no operator of ${job.plan.job}`)
          rows[table.operator]!.push(...rowsOf(table, partition, key, value))
        }
      })
    })
  return rows
}

/** The one place that knows where the operators of a job keep what: by unit. */
function storedTables(job: CompiledJob): TableLayout[][] {
  const { all } = compilePipelines(job, {
    limits: testLimits({}),
    messageBytesMax: [],
    writtenPartitions: [],
    nowMs: () => 0,
  })
  return all.map(({ stateful }) => stateful?.tables.flat() ?? [])
}

/** The newest record of each key that is no tombstone, by key bytes; markers are left out. */
function liveRecords(records: readonly FrameRecord[]): { key: Uint8Array; value: Uint8Array }[] {
  const newest = new Map<string, { key: Uint8Array; value: Uint8Array }>()
  for (const { key, value } of records) {
    if (key === undefined || isMarkerKey(key)) continue
    const name = Buffer.from(key).toString('latin1')
    if (value === undefined) newest.delete(name)
    else newest.set(name, { key, value })
  }
  return [...newest.values()].sort((a, b) => Buffer.compare(a.key, b.key))
}

function rowsOf(table: TableLayout, partition: number, key: Uint8Array, value: Uint8Array): StateRow[] {
  const { width, isWindowed, isNumbered = false, unpack } = table
  const slots = new Float64Array(width)
  readSlots(value, slots, 0, width)
  const cells = unpackCells(value, width * Float64Array.BYTES_PER_ELEMENT) ?? []
  const windowEndMs = isWindowed && !isNumbered ? readWindowEndMs(key) : undefined
  const packed = unpack?.(slots, cells) ?? [
    { key: key.subarray(isWindowed ? WINDOW_PREFIX_BYTES : PLAIN_PREFIX_BYTES), slots: [...slots], cells },
  ]
  return packed.map((row) => ({
    key: textDecoder.decode(row.key),
    partition,
    windowEndMs,
    slots: row.slots,
    cells: row.cells,
  }))
}
