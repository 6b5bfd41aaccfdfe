// What became of a record on its way through a task, as a small integer: bad data is a value here, never an exception.
// Runs on a lane; pure.
// Keeps SPEC: COUNT-1 (every record ends as accepted, late, dead or filtered), ERR-2 (codes, not texts).

import type { ErrorCode } from './errors.ts'

export const STATUS_OK = 0
export const STATUS_FILTERED = 1
export const STATUS_LATE = 2
/** From here on the record is dead; the number says why. */
export const STATUS_DEAD = 16
export const DEAD_TRUNCATED = 16
export const DEAD_TRAILING = 17
export const DEAD_FORMAT = 18
export const DEAD_NOT_MAP = 19
export const DEAD_NOT_ARRAY = 20
export const DEAD_UTF8 = 21
export const DEAD_JSON = 22
export const DEAD_SCHEMA = 23
export const DEAD_VALUE_BYTES = 24
export const DEAD_TOO_DEEP = 25
export const DEAD_EVENT_TIME = 26
export const DEAD_KEY_MISMATCH = 27
export const DEAD_FIELD = 28
export const DEAD_KEY_BYTES = 29
export const DEAD_FUNCTION = 30
export const DEAD_BIG_INTEGER = 31
export const DEAD_RESULT_BYTES = 32
export const DEAD_NO_VALUE = 33
/** A record of a table without a key is of no row. */
export const DEAD_NO_KEY = 35

interface DeadRow {
  code: ErrorCode
  /** The reason in words, for codes whose text has one. */
  reason: string
}

const DEAD_ROWS: Readonly<Record<number, DeadRow>> = {
  [DEAD_TRUNCATED]: { code: 'MR2001', reason: 'it ends in the middle of a value' },
  [DEAD_TRAILING]: { code: 'MR2001', reason: 'bytes follow the value' },
  [DEAD_FORMAT]: { code: 'MR2001', reason: 'it has a byte that begins no value' },
  [DEAD_NOT_MAP]: { code: 'MR2001', reason: 'it is not a map of fields' },
  [DEAD_NOT_ARRAY]: { code: 'MR2001', reason: 'an envelope is an array of events' },
  [DEAD_UTF8]: { code: 'MR2001', reason: 'it is not UTF-8' },
  [DEAD_JSON]: { code: 'MR2001', reason: 'it is not JSON' },
  [DEAD_SCHEMA]: { code: 'MR2001', reason: 'the schema refused it' },
  [DEAD_VALUE_BYTES]: { code: 'MR2002', reason: '' },
  [DEAD_TOO_DEEP]: { code: 'MR2003', reason: '' },
  [DEAD_EVENT_TIME]: { code: 'MR2004', reason: '' },
  [DEAD_KEY_MISMATCH]: { code: 'MR2005', reason: '' },
  [DEAD_FIELD]: { code: 'MR2006', reason: '' },
  [DEAD_KEY_BYTES]: { code: 'MR2007', reason: '' },
  [DEAD_FUNCTION]: { code: 'MR2008', reason: 'a function threw' },
  [DEAD_BIG_INTEGER]: { code: 'MR2009', reason: '' },
  [DEAD_RESULT_BYTES]: { code: 'MR2010', reason: '' },
  [DEAD_NO_VALUE]: { code: 'MR2011', reason: '' },
  [DEAD_NO_KEY]: { code: 'MR2013', reason: '' },
}

/** The error code and the reason of a dead status. Throws RangeError for a status that is not dead. */
export function deadRow(status: number): DeadRow {
  const row = DEAD_ROWS[status]
  if (row === undefined) throw new RangeError(`status ${status} is not that of a dead record`)
  return row
}
