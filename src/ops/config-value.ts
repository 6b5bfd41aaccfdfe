// One configuration value from what was written (text or YAML scalar) to what is used, by its row's type.
// Main thread; pure. Keeps SPEC: CONFIG-2 (what is not valid is named with what was expected).
import { z } from 'zod'
import type { ConfigRow } from './config-table.ts'

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/** What a flag, a variable or the file can hold: a text, a number, true or false. */
export type Scalar = string | number | boolean

/** The value that `written` means for `row`, or undefined when it means none. */
export function parseValue(row: ConfigRow, written: unknown): Scalar | undefined {
  const parsed = schemaOf(row).safeParse(written)
  return parsed.success ? parsed.data : undefined
}

/** The shape of a row's values, as zod has it. */
export function schemaOf(row: ConfigRow): z.ZodType<Scalar> {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = row
  switch (row.type) {
    case 'string':
      return z.union([z.string().trim().min(1), z.number().transform(String)])
    case 'boolean':
      return z.preprocess(readBoolean, z.boolean())
    case 'choice':
      return z.enum(row.choices as [string, ...string[]])
    case 'share':
      return z.preprocess(readNumber, z.number().min(min).max(max))
    case 'integer':
      return z.preprocess(readNumber, z.int().min(min).max(max))
    case 'ms':
      return z.preprocess((written) => readQuantity(written, DURATION_MS), z.int().min(min).max(max))
    case 'bytes':
      return z.preprocess((written) => readQuantity(written, SIZE_BYTES), z.int().min(min).max(max))
  }
}

/** The texts of a list that commas separate, e.g. origins as a browser sends them. */
export function textsOf(list: string | undefined): string[] {
  return (list ?? '').split(',').flatMap((text) => (text.trim() === '' ? [] : [text.trim()]))
}

function readBoolean(written: unknown): unknown {
  if (written === 'true' || written === '1' || written === 1) return true
  if (written === 'false' || written === '0' || written === 0) return false
  return written
}

function readNumber(written: unknown): unknown {
  return typeof written === 'string' && /^[+-]?[\d_]*\.?\d+(e[+-]?\d+)?$/i.test(written.trim())
    ? Number(written.trim().replaceAll('_', ''))
    : written
}

/** A number, or a number and a unit: `2s`, `1.5 MB`. What is neither is handed on as it is, for zod to refuse. */
function readQuantity(written: unknown, units: Readonly<Record<string, number>>): unknown {
  if (typeof written !== 'string') return written
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$/.exec(written)
  if (match === null) return readNumber(written)
  const unit = units[match[2]!]
  return unit === undefined ? written : Math.round(Number(match[1]) * unit)
}
