// Failures of node-rdkafka and of the addon as KafkaFailure. Main thread.
// Keeps SPEC: ERR-2 (nobody matches on messages): where node-rdkafka hands over a text alone, it is looked up in
// librdkafka's own table of codes and texts.
import { KafkaError, type KafkaFailure } from '../port.ts'
import { rdkafka } from './node-rdkafka.ts'

/** What node-rdkafka calls an error: sometimes with flags, sometimes with a text alone (code -1). */
export interface RdkafkaError {
  message: string
  code: number
  isFatal?: boolean
  isRetriable?: boolean
  isTxnRequiresAbort?: boolean
}

/** librdkafka's name of a code, without prefix: `_TIMED_OUT`. */
export function nameOf(code: number): string {
  return tables().names.get(code) ?? `_UNKNOWN_CODE_${code}`
}

/** A failure from node-rdkafka's error. */
export function failureOf(error: RdkafkaError, where: { topic?: string; partition?: number } = {}): KafkaFailure {
  const code = error.code === -1 ? (tables().codes.get(error.message.toLowerCase()) ?? -1) : error.code
  return {
    code,
    name: nameOf(code),
    message: error.message,
    isFatal: error.isFatal ?? code === FATAL_CODE,
    isRetriable: error.isRetriable ?? false,
    requiresAbort: error.isTxnRequiresAbort ?? false,
    ...where,
  }
}

/** The error for a call that does not fit the client's state, e.g. after close. */
export function stateError(message: string): KafkaError {
  return new KafkaError(localFailure(-172, message))
}

/** The error of a call that was cut short by close. */
export function closedError(): KafkaError {
  return new KafkaError(localFailure(-197, 'the client was closed'))
}

export function localFailure(code: number, message: string): KafkaFailure {
  return { code, name: nameOf(code), message, isFatal: false, isRetriable: false, requiresAbort: false }
}

const FATAL_CODE = -150

interface Tables {
  names: Map<number, string>
  /** From librdkafka's text, lower case and without its origin, to the code: the inverse of its own table. */
  codes: Map<string, number>
}

let made: Tables | undefined

function tables(): Tables {
  if (made !== undefined) return made
  const { CODES, err2str } = rdkafka()
  made = { names: new Map(), codes: new Map() }
  for (const [name, code] of Object.entries(CODES.ERRORS)) {
    made.names.set(code, name.replace(/^ERR_/, ''))
    const text = err2str(code).toLowerCase()
    made.codes.set(text.slice(text.indexOf(': ') < 0 ? 0 : text.indexOf(': ') + 2), code)
  }
  return made
}
