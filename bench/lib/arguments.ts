// The arguments of the bench programs: whole numbers, choices and `--json`. Main thread.
import { parseArgs } from 'node:util'

/** A numeric option: its default and its least value. */
export interface NumberOption {
  readonly default: number
  readonly min: number
}

export type NumbersOf<O> = { readonly [Name in keyof O]: number }

/** Options that take one of some words, and may be left out. */
export type ChoicesOf<C extends Record<string, readonly string[]>> = {
  readonly [Name in keyof C]: C[Name][number] | undefined
}

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
  return readArguments(args, options, {})
}

/**
 * As `readNumbers`, with options that take one of some words. Throws a RangeError for another word.
 *
 * @example
 * readArguments(['--only', 'keys'], {}, { only: ['keys', 'lanes'] }) // { only: 'keys' }
 */
export function readArguments<
  const O extends Record<string, NumberOption>,
  const C extends Record<string, readonly string[]>,
>(args: readonly string[], numbers: O, choices: C): NumbersOf<O> & ChoicesOf<C> {
  const names = [...Object.keys(numbers), ...Object.keys(choices)]
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
    },
    strict: true,
  })
  const given = values as Record<string, string | undefined>
  return Object.fromEntries([
    ...Object.entries(numbers).map(([name, option]) => [name, readNumber(name, given[name], option)]),
    ...Object.entries(choices).map(([name, words]) => [name, readChoice(name, given[name], words)]),
  ]) as NumbersOf<O> & ChoicesOf<C>
}

function readChoice(name: string, text: string | undefined, words: readonly string[]): string | undefined {
  if (text === undefined || words.includes(text)) return text
  throw new RangeError(`--${name} must be one of ${words.join(', ')}, not ${text}`)
}

function readNumber(name: string, text: string | undefined, option: NumberOption): number {
  if (text === undefined) return option.default
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= option.min) return value
  throw new RangeError(`--${name} must be a whole number from ${option.min} on, not ${text}`)
}
