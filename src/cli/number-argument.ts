// Numbers on the command line: whole, within their range, or refused with what was expected. Main thread.

import { InvalidArgumentError } from 'commander'

/** A parser for commander's options: a whole number from `min` to `max`; `1_000` is read too. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[\d_]+$/.test(text) ? Number(text.replaceAll('_', '')) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
  }
}
