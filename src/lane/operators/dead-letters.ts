// Dead letters: the record as it came, with headers that say why and from where. A letter that would not fit its topic
// carries cut bytes and says so. Runs on a lane; the rare path.
// Keeps SPEC: DLQ-1 (a bad record is never lost), DLQ-2 (a letter fits its topic), ERR-2 (codes, not texts).

import { type ErrorData, MillraceError } from '../../core/errors.ts'
import type { FrameView, FrameWriter } from '../../core/frame.ts'
import type { LaneLimits } from '../../core/message.ts'
import {
  DEAD_BIG_INTEGER,
  DEAD_EVENT_TIME,
  DEAD_FIELD,
  DEAD_KEY_BYTES,
  DEAD_KEY_MISMATCH,
  DEAD_RESULT_BYTES,
  DEAD_TOO_DEEP,
  DEAD_VALUE_BYTES,
  deadRow,
} from '../../core/record-status.ts'
import type { Plan, PlanTopics } from '../../job/plan.ts'
import { type Chunk, reasonOf } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import { HeaderBytes, headerName } from './header-bytes.ts'
import { MESSAGE_OVERHEAD_BYTES, messageBytesMaxOf } from './message-size.ts'
import { addSource, letterValue, type RecordOrigin, sourceKey, sourceValue } from './source-headers.ts'

const CODE = headerName('millrace-error-code')
const TEXT = headerName('millrace-error-text')
const JOB = headerName('millrace-job')
const TRUNCATED = headerName('millrace-truncated')
const OPERATOR = headerName('millrace-operator')
const ID = headerName('millrace-id')

/** A field that the fast path reads, and what the operator that needs it expects. */
export interface DeadDetailNames {
  /** Field name by the index that a step put into the chunk's detail. */
  fieldOf(detail: number): string
  expectedOf(detail: number): string
}

/** Writes the dead letters of a job. */
export class DeadLetters {
  readonly #plan: Plan
  readonly #origin: RecordOrigin
  readonly #topics: PlanTopics
  readonly #limits: LaneLimits
  readonly #names: DeadDetailNames
  readonly #bytesMax: number
  readonly #messageBytesMax: readonly number[]
  readonly #headers = new HeaderBytes()

  constructor(
    plan: Plan,
    origin: RecordOrigin,
    topics: PlanTopics,
    limits: LaneLimits,
    messageBytesMax: readonly number[],
    names: DeadDetailNames,
  ) {
    this.#plan = plan
    this.#origin = origin
    this.#topics = topics
    this.#limits = limits
    this.#names = names
    this.#messageBytesMax = messageBytesMax
    this.#bytesMax = messageBytesMaxOf(messageBytesMax, topics.dlq)
  }

  /** The letter of row `row` of a chunk, whose status is dead. Gives the error, for the log. */
  write(chunk: Chunk, row: number, run: FrameRun): ErrorData {
    const error = this.#errorOf(chunk, row, run.view)
    const { view } = run
    const at = chunk.at[row]!
    const headers = this.#headers
    headers.clear()
    this.#addReason(error)
    addSource(headers, this.#origin, chunk, row, run)
    const ownBytes = headers.length
    headers.addPacked(view.bytes, view.headersStart(at), view.headersBytes(at))
    this.#append(
      run.out,
      view.timestampMs(at),
      sourceKey(chunk, row, run),
      sourceValue(this.#origin, chunk, row, run),
      ownBytes,
    )
    return error
  }

  /** A result row whose own map, filter, key or headers function threw: there is no one record to blame. */
  writeResult(
    { out, task }: FrameRun,
    operator: string,
    id: string,
    key: Uint8Array,
    row: unknown,
    timestampMs: number,
    thrown: unknown,
  ): void {
    const error = new MillraceError('MR2008', { reason: reasonOf(thrown) }).toData()
    const headers = this.#headers
    headers.clear()
    this.#addReason(error)
    headers.addText(OPERATOR, operator)
    headers.addText(ID, id)
    this.#append(out, timestampMs, key, letterValue(row), headers.length)
    task.tally.lastDead = error
    task.tally.deadResults++
  }

  #addReason(error: ErrorData): void {
    this.#headers.addText(CODE, error.code)
    this.#headers.addText(TEXT, error.message)
    this.#headers.addText(JOB, this.#plan.job)
  }

  /** Cuts what does not fit: the record's own headers first, then the value's end, then the key. */
  #append(
    out: FrameWriter,
    timestampMs: number,
    key: Uint8Array | undefined,
    value: Uint8Array | undefined,
    ownBytes: number,
  ): void {
    const headers = this.#headers
    const room = this.#bytesMax - MESSAGE_OVERHEAD_BYTES
    const size = (key?.length ?? 0) + (value?.length ?? 0) + headers.length
    if (size <= room) {
      out.append(this.#topics.dlq, -1, timestampMs, key, value, headers.packed())
      return
    }
    headers.length = ownBytes
    headers.addText(TRUNCATED, 'true')
    const left = room - headers.length
    const keptKey = key !== undefined && key.length <= left ? key : undefined
    const valueBytes = Math.max(0, left - (keptKey?.length ?? 0))
    out.append(this.#topics.dlq, -1, timestampMs, keptKey, value?.subarray(0, valueBytes), headers.packed())
  }

  #errorOf(chunk: Chunk, row: number, view: FrameView): ErrorData {
    const status = chunk.status[row]!
    const { code, reason } = deadRow(status)
    const details = this.#details(status, chunk, row, view)
    if (reason !== '') details.reason = chunk.reasons.get(row) ?? reason
    return new MillraceError(code, details).toData()
  }

  #details(status: number, chunk: Chunk, row: number, view: FrameView): Record<string, string | number> {
    const detail = chunk.detail[row]!
    const limits = this.#limits
    const { source } = this.#origin
    switch (status) {
      case DEAD_VALUE_BYTES:
        return { bytes: detail, limit: limits.valueBytesMax }
      case DEAD_TOO_DEEP:
        return { limit: limits.decodeDepthMax, nodes: limits.decodeNodesMax }
      case DEAD_EVENT_TIME: {
        const recordTimeMs = view.timestampMs(chunk.at[row]!)
        const limitMs = detail > recordTimeMs ? source.maxFutureMs : (source.maxPastMs ?? source.maxFutureMs)
        return { eventTimeMs: detail, limitMs, recordTimeMs }
      }
      case DEAD_KEY_MISMATCH:
        return { field: this.#names.fieldOf(detail) }
      case DEAD_FIELD:
      case DEAD_BIG_INTEGER:
        return { field: this.#names.fieldOf(detail), expected: this.#names.expectedOf(detail) }
      case DEAD_KEY_BYTES:
        return { bytes: detail, limit: limits.keyBytesMax }
      case DEAD_RESULT_BYTES:
        return this.#tooLarge(detail, chunk.reasons.get(row) ?? '')
      default:
        return { format: source.format }
    }
  }

  #tooLarge(bytes: number, topic: string): Record<string, string | number> {
    const index = this.#topics.names.indexOf(topic)
    return { bytes, topic, limit: messageBytesMaxOf(this.#messageBytesMax, index) }
  }
}
