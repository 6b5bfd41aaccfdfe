// Records to a topic without an aggregate: copied as they are, or encoded when a function changed them. Hot when copied.
// Runs on a lane.
// Keeps SPEC: SIZE-1 (a record too large for the topic is dead, MR2010), PATH-1 (unchanged records keep their bytes).

import { encodeValue } from '../../codec/encode.ts'
import { DEAD_FUNCTION, DEAD_RESULT_BYTES, STATUS_OK } from '../../core/record-status.ts'
import type { CompiledJob, OperatorPlan, PlanTopics, SourcePlan } from '../../job/plan.ts'
import { type Chunk, SINGLE_EVENT } from '../chunk.ts'
import type { FrameRun, ObjectSource, Step } from '../frame-run.ts'
import { type JobFunction, jobFunction } from '../job-function.ts'
import { TOMBSTONE } from './derived.ts'
import { HeaderBytes } from './header-bytes.ts'
import { MESSAGE_OVERHEAD_BYTES, messageBytesMaxOf } from './message-size.ts'
import { addJobHeaders, keyBytesOf } from './row-functions.ts'
import type { ViewKeep } from './view-keep.ts'

type SinkOperator = Extract<OperatorPlan, { kind: 'to' | 'view' }>

/** A sink of a stream of records. */
export class RecordSink implements Step {
  readonly #operator: SinkOperator
  readonly #topicIndex: number
  readonly #bytesMax: number
  readonly #keyFn: JobFunction | undefined
  readonly #headersFn: JobFunction | undefined
  readonly #objects: ObjectSource
  readonly #outOfOrderMs: number
  /** How long rows of a view stay; undefined: for good. */
  readonly #keep: ViewKeep | undefined
  /** The value's bytes can go on as they came, unless a function changed the record. */
  readonly #isSameFormat: boolean
  readonly #headers = new HeaderBytes()

  constructor(
    job: CompiledJob,
    source: SourcePlan,
    operator: SinkOperator,
    topics: PlanTopics,
    messageBytesMax: readonly number[],
    objects: ObjectSource,
    keep: ViewKeep | undefined,
  ) {
    const { sink } = operator
    this.#operator = operator
    this.#topicIndex = topics.byOperator[operator.name]!
    this.#bytesMax = messageBytesMaxOf(messageBytesMax, this.#topicIndex)
    this.#keyFn = sink.keyFn === undefined ? undefined : jobFunction(job, sink.keyFn)
    this.#headersFn = sink.headersFn === undefined ? undefined : jobFunction(job, sink.headersFn)
    this.#objects = objects
    this.#outOfOrderMs = source.outOfOrderMs
    this.#keep = keep
    this.#isSameFormat = source.format === sink.format && source.schemaFn === undefined
  }

  run(chunk: Chunk, run: FrameRun): void {
    const isCopied = this.#isSameFormat && !chunk.isChanged
    const isWhole =
      isCopied && chunk.carried === undefined && this.#keyFn === undefined && this.#headersFn === undefined
    let clockMs = run.task.watermarkMs
    for (let row = 0; row < chunk.count; row++) {
      if (this.#keep !== undefined) {
        // The clock of the task is moved by a later step: here it is followed record by record.
        clockMs = Math.max(clockMs, chunk.carried?.watermarksMs[row] ?? chunk.timesMs[row]! - this.#outOfOrderMs)
        this.#keep.before(run, chunk.timesMs[row]!, clockMs)
      }
      if (chunk.status[row] !== STATUS_OK) continue
      if (isWhole && chunk.eventIndexes[row] === SINGLE_EVENT) this.#copy(chunk, row, run)
      else this.#write(chunk, row, run, isCopied)
    }
  }

  #copy(chunk: Chunk, row: number, run: FrameRun): void {
    const { view } = run
    const at = chunk.at[row]!
    const bytes = Math.max(view.keyBytes(at), 0) + Math.max(view.valueBytes(at), 0) + view.headersBytes(at)
    if (!this.#fits(chunk, row, bytes)) return
    run.out.appendCopy(view, at, this.#topicIndex, -1)
    run.task.tally.counts.results++
    if (this.#keep === undefined || view.keyBytes(at) < 0) return
    const [start, length] = [view.keyStart(at), view.keyBytes(at)]
    if (view.valueBytes(at) < 0) this.#keep.removed(run, view.bytes, start, length)
    else this.#keep.wrote(run, view.bytes, start, length, chunk.timesMs[row]!)
  }

  #write(chunk: Chunk, row: number, run: FrameRun, isCopied: boolean): void {
    const { view } = run
    const at = chunk.at[row]!
    const headers = this.#headers
    headers.clear()
    headers.addPacked(view.bytes, view.headersStart(at), view.headersBytes(at))
    let key = view.key(at)
    let value: Uint8Array | undefined
    try {
      if (isTombstone(chunk, row)) value = undefined
      else value = this.#value(chunk, row, run, isCopied)
      if (value !== undefined && this.#keyFn !== undefined) key = keyBytesOf(this.#keyFn(this.#object(chunk, row)))
      if (value !== undefined && this.#headersFn !== undefined)
        addJobHeaders(headers, this.#headersFn(this.#object(chunk, row)))
      // The key that it had is made of the row itself.
      if (this.#operator.kind === 'view' && chunk.carried?.isRetracted[row] === 1) value = undefined
    } catch (error) {
      chunk.failThrown(row, DEAD_FUNCTION, error)
      return
    }
    if (!this.#fits(chunk, row, (key?.length ?? 0) + (value?.length ?? 0) + headers.length)) return
    run.out.append(this.#topicIndex, -1, view.timestampMs(at), key, value, headers.packed())
    run.task.tally.counts.results++
    if (this.#keep === undefined || key === undefined) return
    if (value === undefined) this.#keep.removed(run, key, 0, key.length)
    else this.#keep.wrote(run, key, 0, key.length, chunk.timesMs[row]!)
  }

  #object(chunk: Chunk, row: number): unknown {
    return chunk.isChanged ? chunk.objects[row] : this.#objects.objectAt(row)
  }

  /** An event of a JSON envelope has no bytes of its own. */
  #value(chunk: Chunk, row: number, run: FrameRun, isCopied: boolean): Uint8Array {
    const { format } = this.#operator.sink
    const isOwn = chunk.eventIndexes[row] === SINGLE_EVENT || chunk.carried !== undefined
    const hasBytes = isOwn || format === 'msgpack'
    if (isCopied && hasBytes) return run.view.bytes.subarray(chunk.starts[row]!, chunk.ends[row]!)
    return encodeValue(format, this.#object(chunk, row))
  }

  #fits(chunk: Chunk, row: number, bytes: number): boolean {
    if (bytes + MESSAGE_OVERHEAD_BYTES <= this.#bytesMax) return true
    chunk.fail(row, DEAD_RESULT_BYTES, bytes)
    chunk.reasons.set(row, this.#operator.topic)
    return false
  }
}

/** The row of a table is no more. */
function isTombstone(chunk: Chunk, row: number): boolean {
  return chunk.isChanged ? chunk.objects[row] === TOMBSTONE : chunk.isTombstone(row)
}
