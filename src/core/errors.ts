// The error that Millrace throws, its text and what is done about it. Runs on every thread; pure.
// Keeps SPEC: ERR-2 (nobody matches on messages).

import { ERRORS, type ErrorAction, type ErrorCode } from './error-table.ts'

export { ERRORS, type ErrorAction, type ErrorCode }

/** An error as data: what crosses threads and goes into logs and dead-letter headers. */
export interface ErrorData {
  code: ErrorCode
  message: string
  details: Record<string, string | number>
}

/** The text of a code with its values filled in. A value that begins with a new line leaves no space before it. */
export function errorText(code: ErrorCode, details: Record<string, string | number> = {}): string {
  const text = ERRORS[code].text.replace(/\{(\w+)\}/g, (whole, name: string) =>
    details[name] === undefined ? whole : String(details[name]),
  )
  return text.replace(/ +\n/g, '\n').trimEnd()
}

/**
 * The error that Millrace throws; `code` decides what is done about it.
 *
 * @example
 * throw new MillraceError('MR4002', { topic: 'trades' })
 */
export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly details: Record<string, string | number>

  constructor(code: ErrorCode, details: Record<string, string | number> = {}, options?: { cause?: unknown }) {
    super(`${code} ${errorText(code, details)}`, options)
    this.name = 'MillraceError'
    this.code = code
    this.details = details
  }
  get action(): ErrorAction {
    return ERRORS[this.code].action
  }
  get remedy(): string {
    return ERRORS[this.code].remedy.replace(/\{(\w+)\}/g, (whole, name: string) => String(this.details[name] ?? whole))
  }
  toData(): ErrorData {
    return { code: this.code, message: this.message, details: this.details }
  }
  static fromData(data: ErrorData): MillraceError {
    return new MillraceError(data.code, data.details)
  }
}
