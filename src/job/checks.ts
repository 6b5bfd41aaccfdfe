// Checks shared by the parts of the compiler: each reads an unchecked value and notes a problem instead of throwing.
// Runs on every thread; pure.
// Keeps SPEC: JOB-2 (durations), JOB-4 (all problems of a job are told at once).

import { isTimeZone } from '../core/calendar-unit.ts'
import { nearest } from '../core/nearest.ts'
import type { JobFunction } from './draft.ts'
import { parseDuration } from './duration.ts'

/** What a compilation gathers: problems for people, functions for the lanes. */
export class Findings {
  readonly problems: string[] = []
  readonly functions: JobFunction[] = []

  add(problem: string): void {
    this.problems.push(problem)
  }

  /** Index of a function in the job's list; notes a problem when it is none. */
  fn(where: string, value: unknown): number {
    if (typeof value !== 'function') {
      this.add(`${where} must be a function, not ${show(value)}`)
      return -1
    }
    return this.functions.push(value as JobFunction) - 1
  }

  /** Milliseconds of a duration between `minMs` and the longest; `fallbackMs` when it was not given. */
  durationMs(where: string, value: unknown, fallbackMs: number, minMs = 0): number {
    if (value === undefined) return fallbackMs
    const ms = parseDuration(value)
    if (ms === undefined) {
      this.add(`${where} must be a duration like '500ms', '10s' or '1.5h', not ${show(value)}`)
      return fallbackMs
    }
    if (ms < minMs) this.add(`${where} must be at least ${minMs}ms, not ${show(value)}`)
    return ms
  }

  /** A name of the time zone database. */
  timeZone(where: string, value: unknown): string {
    if (typeof value !== 'string' || !isTimeZone(value)) {
      const near = hint(String(value), Intl.supportedValuesOf('timeZone'))
      this.add(`${where} must be a time zone like 'Europe/Berlin' or 'UTC', not ${show(value)}${near}`)
      return 'UTC'
    }
    return value
  }

  /** A name of ours: it becomes part of topic names and state keys. */
  name(where: string, value: unknown): string {
    if (typeof value !== 'string' || !/^[a-z0-9-]{1,64}$/.test(value)) {
      this.add(`${where} must be 1 to 64 of a-z, 0-9 and '-', not ${show(value)}`)
    }
    return String(value)
  }

  topicName(where: string, value: unknown): string {
    if (typeof value !== 'string' || !/^[a-zA-Z0-9._-]{1,249}$/.test(value) || value === '.' || value === '..') {
      this.add(`${where} must be a Kafka topic name (1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'), not ${show(value)}`)
    }
    return String(value)
  }

  /** A field name, as the decoder can find it. */
  field(where: string, value: unknown): string {
    if (typeof value !== 'string' || value === '') this.add(`${where} must be a field name, not ${show(value)}`)
    return String(value)
  }

  /** Field names; undefined when none were given at all. */
  fields(where: string, value: unknown): string[] | undefined {
    if (value === undefined) return undefined
    if (!Array.isArray(value) || value.length === 0) {
      this.add(`${where} must be a list of field names, not ${show(value)}`)
      return []
    }
    return value.map((field) => this.field(where, field))
  }

  /** An options object; keys that are not known are problems, with the nearest known one. */
  options(where: string, value: unknown, known: readonly string[]): Record<string, unknown> {
    if (value === undefined) return {}
    if (typeof value !== 'object' || value === null) {
      this.add(`${where}: options must be an object, not ${show(value)}`)
      return {}
    }
    for (const key of Object.keys(value)) {
      if (!known.includes(key)) this.add(`${where}: there is no option '${key}'${hint(key, known)}`)
    }
    return value as Record<string, unknown>
  }

  /** Default false. */
  flag(where: string, value: unknown): boolean {
    if (value !== undefined && typeof value !== 'boolean')
      this.add(`${where} must be true or false, not ${show(value)}`)
    return value === true
  }

  /** One of some words; `more` is said among them, in an error text, where something else is possible too. */
  oneOf<const T extends string>(where: string, value: unknown, allowed: readonly T[], fallback: T, more?: string): T {
    if (value === undefined) return fallback
    const found = allowed.find((choice) => choice === value)
    if (found === undefined) {
      const words = [...allowed.map((choice) => `'${choice}'`), ...(more === undefined ? [] : [more])]
      this.add(`${where} must be ${words.join(' or ')}, not ${show(value)}${hint(String(value), allowed)}`)
    }
    return found ?? fallback
  }
}

function hint(key: string, known: readonly string[]): string {
  const near = nearest(key, known)
  return near === undefined ? '' : `, did you mean '${near}'?`
}

/** A value as an error text shows it: short, on one line. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 57)}...` : value}'`
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
