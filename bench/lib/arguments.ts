// The arguments of the bench programs: whole numbers and `--json`. Main thread.
import { parseArgs } from 'node:util'

/** A numeric option: its default and its least value. */
export interface NumberOption {
  readonly default: number
  readonly min: number
}

export type NumbersOf<O> = { readonly [Name in keyof O]: number }

/**
 * Reads `--name n` options; every bench also knows `--json` (without it the result is also told in words; the last line
 * of stdout is JSON either way). Throws a RangeError that names the option and what it takes.
 *
 * @example
 * readNumbers(['--records', '1000'], { records: { default: 10, min: 1 } }) // { records: 1000 }
 */
export function readNumbers<const O extends Record<string, NumberOption>>(
  args: readonly string[],
  options: O,
): NumbersOf<O> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      ...Object.fromEntries(Object.keys(options).map((name) => [name, { type: 'string' as const }])),
    },
    strict: true,
  })
  const given = values as Record<string, string | boolean | undefined>
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => [name, readNumber(name, given[name], option)]),
  ) as NumbersOf<O>
}

function readNumber(name: string, text: string | boolean | undefined, option: NumberOption): number {
  if (text === undefined) return option.default
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= option.min) return value
  throw new RangeError(`--${name} must be a whole number from ${option.min} on, not ${text}`)
}
