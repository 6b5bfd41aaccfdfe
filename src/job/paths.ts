// Which path each operator of a plan takes: fields read from the bytes, or decoded records; and why.
// Runs on every thread; pure.
// Keeps SPEC: PATH-1 (both paths give the same; the plan says which is taken).

import type { AggregatePlan, OperatorPlan, SourcePlan, StreamPlan, WindowPlan } from './plan.ts'

/** `fast`: named fields straight from the bytes; `free`: decoded records or made rows; `none`: reads nothing of a record. */
export type PathKind = 'fast' | 'free' | 'none'

export interface OperatorPath {
  operator: string
  kind: OperatorPlan['kind']
  path: PathKind
  /** Half a sentence for people: `reads qty from the bytes`. */
  why: string
}

type Reading = Pick<OperatorPath, 'path' | 'why'>

/**
 * The path of each operator, in the order of the chain; those of a stream that joins it come before the operator where it does.
 *
 * @example
 * operatorPaths(plan)[0] // { operator: 'filter-1', kind: 'filter', path: 'fast', why: 'reads qty from the bytes' }
 */
export function operatorPaths({ branches = [], ...stream }: StreamPlan & { branches?: StreamPlan[] }): OperatorPath[] {
  return [stream, ...branches].flatMap((one) => streamPaths(one))
}

function streamPaths({ source, operators }: StreamPlan): OperatorPath[] {
  let decoded = decodedBecause(source)
  /** The last operator that made rows: what follows it reads those, and not the source's bytes. */
  let madeBy: string | undefined
  let isMoved = false
  return operators.flatMap((operator) => {
    const reading = readingOf(operator, decoded, madeBy, isMoved)
    if (MAKES_ROWS.has(operator.kind)) madeBy = operator.name
    if (operator.kind === 'repartition') {
      decoded = operator.format === 'json' ? JSON_DECODED : undefined
      madeBy = undefined
      isMoved = true
    }
    const own = { operator: operator.name, kind: operator.kind, ...reading }
    return 'other' in operator ? [...operatorPaths(operator.other), own] : [own]
  })
}

const JSON_DECODED = 'JSON values are decoded whole'
const MAKES_ROWS: ReadonlySet<OperatorPlan['kind']> = new Set([
  'map',
  'flatMap',
  'aggregate',
  'process',
  'topN',
  'join',
  'tableJoin',
  'tablesJoin',
  'globalJoin',
  'merge',
])

/** Why every record of a source is decoded when it is read, whatever the operators need; undefined: it is not. */
function decodedBecause(source: SourcePlan): string | undefined {
  if (source.format === 'json') return JSON_DECODED
  if (source.schemaFn !== undefined) return 'the schema takes the whole record'
  if (source.eventTime.kind === 'function') return 'the event time function takes the whole record'
  return undefined
}

function readingOf(
  operator: OperatorPlan,
  decoded: string | undefined,
  madeBy: string | undefined,
  isMoved: boolean,
): Reading {
  switch (operator.kind) {
    case 'filter':
    case 'map':
      if (operator.fields === undefined) return takesWhole('its function', madeBy)
      return readsFields(operator.fields, decoded, madeBy)
    case 'flatMap':
    case 'process':
      return takesWhole('its function', madeBy)
    case 'topN':
      return takesWhole('its list', madeBy)
    case 'dedup':
    case 'repartition':
      return readsFields([operator.field], decoded, madeBy)
    case 'keyBy':
      if (isMoved) return { path: 'none', why: 'the records were moved to their key' }
      if (madeBy !== undefined) return { path: 'none', why: `the rows of ${madeBy} have this key` }
      // The source has checked the field; no function stands before keyBy that changes it.
      return { path: decoded === undefined ? 'fast' : 'free', why: `checks the Kafka key against ${operator.field}` }
    case 'aggregate':
      if (operator.isReduce) return takesWhole('its function', madeBy)
      return aggregateReading(operator.aggregates, decoded, madeBy)
    case 'globalJoin':
      return takesWhole('its function', madeBy)
    case 'tableJoin':
      return { path: 'free', why: 'takes the records and the rows of the table' }
    case 'tablesJoin':
      return { path: 'free', why: 'takes the rows of both tables' }
    case 'join':
    case 'merge':
      return { path: 'free', why: 'takes the records of both streams' }
    case 'rows':
      return { path: 'none', why: `passes the rows of ${madeBy} on` }
    case 'window':
      return { path: 'none', why: windowReading(operator.window) }
    case 'late':
      return { path: 'none', why: 'passes the original bytes on' }
    case 'to':
    case 'view':
      return sinkReading(operator.sink.keyFn !== undefined || operator.sink.headersFn !== undefined, madeBy)
  }
}

function takesWhole(who: string, madeBy: string | undefined): Reading {
  return {
    path: 'free',
    why: madeBy === undefined ? `${who} takes the whole record` : `${who} takes the row of ${madeBy}`,
  }
}

function readsFields(fields: readonly string[], decoded: string | undefined, madeBy: string | undefined): Reading {
  const names = fields.join(', ')
  if (madeBy !== undefined) return { path: 'free', why: `takes ${names} from the row of ${madeBy}` }
  if (decoded !== undefined) return { path: 'free', why: `takes ${names} from the record; ${decoded}` }
  return { path: 'fast', why: `reads ${names} from the bytes` }
}

function aggregateReading(
  aggregates: readonly AggregatePlan[],
  decoded: string | undefined,
  madeBy: string | undefined,
): Reading {
  const whole = aggregates.find((aggregate) => aggregate.kind === 'custom' && aggregate.fields === undefined)
  if (whole !== undefined) return takesWhole(whole.as, madeBy)
  const fields = [...new Set(aggregates.flatMap(aggregateFields))]
  return fields.length === 0 ? { path: 'fast', why: 'reads no field' } : readsFields(fields, decoded, madeBy)
}

/** The fields that an aggregate reads; none for count and for a custom one over whole records. */
export function aggregateFields(aggregate: AggregatePlan): string[] {
  return aggregate.fields ?? []
}

function sinkReading(hasFunctions: boolean, madeBy: string | undefined): Reading {
  if (hasFunctions) return takesWhole('its key or headers function', madeBy)
  return { path: 'none', why: madeBy === undefined ? 'passes the record on' : `encodes the row of ${madeBy}` }
}

function windowReading({ kind }: WindowPlan): string {
  if (kind === 'count') return 'counts records'
  return kind === 'global' ? 'holds all records' : 'works on event time alone'
}
