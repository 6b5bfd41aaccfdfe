// Drops records of a key whose id came before: an id is remembered until the watermark is past the time of its record and
// `within`. Runs on a lane. Hot: one lookup a record.
// Keeps SPEC: DEDUP-1 (an id is taken once while it is remembered), DEDUP-2 (what is forgotten occupies nothing), COUNT-1.

/*
 *   row of an id     key  u16 bytes of the record's key (BE) | the record's key | 't' text, 'n' number | the id
 *                    slot   deadline: time of the record + within
 */
import { type Columns, TAG_BIG, TAG_NUMBER, TAG_TEXT } from '../../core/columns.ts'
import { DEAD_BIG_INTEGER, DEAD_FIELD, STATUS_FILTERED, STATUS_OK } from '../../core/record-status.ts'
import { NO_WINDOW, type SlabTable } from '../../state/contract.ts'
import type { ChainState, TableLayout } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import { operatorIdOf } from '../operator-id.ts'
import { Deadlines } from './deadlines.ts'
import type { StatefulStep } from './stateful-step.ts'

/** Longer ids are dead: each is kept in memory and in the changelog. */
const ID_BYTES_MAX = 256
/** What a dead letter says was expected of an id. */
export const ID_EXPECTED = `whole number, or text of at most ${ID_BYTES_MAX} bytes`
/** The ids of a bucket are looked at once, when all of it is due: there are so many buckets in `within`. */
const BUCKETS_WITHIN = 4096
const KEY_LENGTH_BYTES = 2
const TEXT = 0x74
const NUMBER = 0x6e

const textEncoder = new TextEncoder()

export interface DedupOptions {
  withinMs: number
  outOfOrderMs: number
  /** Where the id is: those of the source, or filled after a map. */
  columns: Columns
  field: number
  /** Index of the field for the texts of dead records. */
  detail: number
  /** Its two tables in a task. */
  tables: (task: ChainState) => SlabTable[]
}

/** The tables of a dedup: its ids, and when each is forgotten. */
export function dedupTables(name: string): TableLayout[] {
  return [
    { operator: name, operatorId: operatorIdOf(name), width: 1, isWindowed: false },
    { operator: name, operatorId: operatorIdOf(`${name}~deadlines`), width: 1, isWindowed: true },
  ]
}

interface DedupTask {
  ids: SlabTable
  deadlines: Deadlines
  /** Nothing is looked at before this: no bucket has ended. */
  quietUntilMs: number
}

export class Dedup implements StatefulStep {
  readonly #options: DedupOptions
  readonly #tasks = new WeakMap<ChainState, DedupTask>()
  #scratch = new Uint8Array(2048)

  constructor(options: DedupOptions) {
    this.#options = options
  }

  open(task: ChainState): void {
    const { tables, withinMs } = this.#options
    const [ids, index] = tables(task) as [SlabTable, SlabTable]
    const deadlines = new Deadlines(index, ids, Math.max(1, Math.floor(withinMs / BUCKETS_WITHIN)))
    this.#tasks.set(task, { ids, deadlines, quietUntilMs: Number.NEGATIVE_INFINITY })
  }

  /** The clock of the task is moved by a later step: here it is followed record by record. */
  run(chunk: Chunk, run: FrameRun): void {
    const own = this.#tasks.get(run.task)!
    const { outOfOrderMs } = this.#options
    const { status, timesMs, carried } = chunk
    let { watermarkMs } = run.task
    for (let row = 0; row < chunk.count; row++) {
      watermarkMs = Math.max(watermarkMs, carried?.watermarksMs[row] ?? timesMs[row]! - outOfOrderMs)
      if (status[row] !== STATUS_OK) continue
      const bytes = this.#compose(chunk, row, run)
      if (bytes > 0 && this.#isKnown(own, bytes, timesMs[row]!, watermarkMs)) status[row] = STATUS_FILTERED
    }
  }

  /** Looks the id in the scratch up and remembers it. */
  #isKnown(own: DedupTask, bytes: number, timeMs: number, watermarkMs: number): boolean {
    const { ids, deadlines } = own
    const keyId = ids.internKey(this.#scratch, 0, bytes)
    const row = ids.rowFor(keyId, NO_WINDOW)
    const isNew = ids.wasCreated
    const at = row * ids.width
    if (!isNew && ids.slots[at]! >= watermarkMs) return true
    const deadlineMs = timeMs + this.#options.withinMs
    ids.slots[at] = deadlineMs
    ids.touch(row)
    if (isNew) {
      deadlines.add(keyId, deadlines.bucketOf(deadlineMs))
      own.quietUntilMs = Math.min(own.quietUntilMs, deadlines.bucketOf(deadlineMs))
    }
    return false
  }

  /** Key and id of a record into the scratch; 0: it has no id that can be told, and is dead. */
  #compose(chunk: Chunk, row: number, { view }: FrameRun): number {
    const at = chunk.at[row]!
    const keyBytes = view.keyBytes(at)
    const keyStart = view.keyStart(at)
    const scratch = this.#roomFor(keyBytes)
    scratch[0] = keyBytes >> 8
    scratch[1] = keyBytes & 0xff
    for (let i = 0; i < keyBytes; i++) scratch[KEY_LENGTH_BYTES + i] = view.bytes[keyStart + i]!
    const idAt = KEY_LENGTH_BYTES + keyBytes
    const idBytes = this.#writeId(chunk, row, view.bytes, idAt)
    return idBytes < 0 ? 0 : idAt + idBytes
  }

  #roomFor(keyBytes: number): Uint8Array {
    const most = KEY_LENGTH_BYTES + keyBytes + 1 + ID_BYTES_MAX
    if (this.#scratch.length < most) this.#scratch = new Uint8Array(most * 2)
    return this.#scratch
  }

  /** Bytes of the id with its kind, -1: the record is dead. */
  #writeId(chunk: Chunk, row: number, source: Uint8Array, at: number): number {
    const { columns, field, detail } = this.#options
    const cell = field * columns.capacity + row
    const tag = columns.tags[cell]
    const scratch = this.#scratch
    if (tag === TAG_TEXT && columns.lengths[cell]! <= ID_BYTES_MAX) {
      const start = columns.starts[cell]!
      const length = columns.lengths[cell]!
      scratch[at] = TEXT
      for (let i = 0; i < length; i++) scratch[at + 1 + i] = source[start + i]!
      return 1 + length
    }
    const value = columns.valueAt(field, row)
    const isText = typeof value === 'string'
    if (isText || Number.isSafeInteger(value)) {
      scratch[at] = isText ? TEXT : NUMBER
      const text = String(value)
      const { read, written } = textEncoder.encodeInto(text, scratch.subarray(at + 1, at + 1 + ID_BYTES_MAX))
      if (read === text.length) return 1 + written
    }
    const isInteger = tag === TAG_BIG || (tag === TAG_NUMBER && Number.isInteger(value))
    chunk.fail(row, isInteger ? DEAD_BIG_INTEGER : DEAD_FIELD, detail)
    return -1
  }

  /** Forgets the ids whose deadline the watermark has passed. */
  advance(run: FrameRun): void {
    const { watermarkMs } = run.task
    const own = this.#tasks.get(run.task)!
    while (watermarkMs > own.quietUntilMs) {
      const bucketMs = own.deadlines.firstBucketMs
      own.quietUntilMs = bucketMs
      if (watermarkMs > bucketMs) this.#forget(own, bucketMs, watermarkMs)
    }
  }

  /** Of a bucket that the watermark has passed as a whole: ids that came again have a later deadline, and go to its bucket. */
  #forget({ ids, deadlines }: DedupTask, bucketMs: number, watermarkMs: number): void {
    for (const keyId of deadlines.keysOf(bucketMs)) {
      const row = ids.rowFor(keyId, NO_WINDOW)
      const deadlineMs = ids.slots[row * ids.width]!
      deadlines.remove(keyId, bucketMs)
      if (deadlineMs < watermarkMs) ids.deleteRow(row)
      else deadlines.add(keyId, deadlines.bucketOf(deadlineMs))
    }
  }
}
