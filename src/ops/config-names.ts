// The names of configuration keys as flags and variables, and what their values must be in words. Main thread; pure.
// Keeps SPEC: CONFIG-1 (flags and variables follow from the table).
import type { ConfigRow } from './config-table.ts'

/** `http.port` -> `--http-port`. */
export function flagOf(key: string): string {
  return `--${words(key).join('-')}`
}

/** `http.port` -> `MILLRACE_HTTP_PORT`. */
export function envOf(key: string): string {
  return `MILLRACE_${words(key).join('_').toUpperCase()}`
}

function words(key: string): string[] {
  return key.split(/[.]|(?=[A-Z])/).map((word) => word.toLowerCase())
}

/** What a value must be, in words: for error texts and the reference. */
export function expectedText(row: ConfigRow): string {
  switch (row.type) {
    case 'string':
      return 'a text'
    case 'boolean':
      return 'true or false'
    case 'choice':
      return `one of ${row.choices!.join(', ')}`
    case 'share':
      return `a number from ${row.min} to ${row.max}`
    case 'integer':
      return `a whole number from ${row.min} to ${row.max}`
    case 'ms':
      return `milliseconds from ${row.min} to ${row.max}, or a duration such as 500ms, 2s, 1m`
    case 'bytes':
      return `bytes from ${row.min} to ${row.max}, or a size such as 64 kB, 32 MB, 32 MiB`
  }
}
