// A record of a view's topic as the row that clients get. Main thread.
// Keeps SPEC: PUSH-24 (a row of a closed window says so).
import { encodeHeaders, type FrameView } from '../core/frame.ts'
import { KEY_BYTES_MAX } from './copy-codec.ts'

const keyDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const valueDecoder = new TextDecoder()

/** Value bytes to a row; may throw. */
export type RowDecoder = (value: Uint8Array) => unknown

/** What a view's rows are without a format of their own. */
export function decodeJson(value: Uint8Array): unknown {
  return JSON.parse(valueDecoder.decode(value))
}

/** Key and JSON of a record, and whether it may still change; `json` undefined removes the key. A text says why it is no row. */
export function rowOf(
  frame: FrameView,
  at: number,
  decode: RowDecoder,
): { key: string; json: string | undefined; isFinal: boolean } | string {
  const key = frame.key(at)
  if (key === undefined) return 'it has no key'
  if (key.length > KEY_BYTES_MAX) return `its key is longer than ${KEY_BYTES_MAX} bytes`
  const value = frame.value(at)
  try {
    const json = value === undefined ? undefined : JSON.stringify(decode(value), plainValue)
    if (value !== undefined && json === undefined) return 'its value is nothing that JSON knows'
    return { key: keyDecoder.decode(key), json, isFinal: isFinal(frame, at) }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** The first header of a row of a job, as it is packed, when its window is closed. */
const FINAL_PHASE = encodeHeaders([{ name: 'millrace-phase', value: new TextEncoder().encode('final') }])

function isFinal(frame: FrameView, at: number): boolean {
  if (frame.headersBytes(at) < FINAL_PHASE.length) return false
  const start = frame.headersStart(at)
  for (let i = 0; i < FINAL_PHASE.length; i++) if (frame.bytes[start + i] !== FINAL_PHASE[i]) return false
  return true
}

/** What JSON does not know: big integers travel as text, bytes as base64. */
function plainValue(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}
