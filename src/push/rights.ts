// What the bearer of a token may read: views, and keys of them. Pure.
// Keeps SPEC: PUSH-26 (a read outside of what a token permits is refused whole, never narrowed).

import { MillraceError } from '../core/errors.ts'
import { isObject, type Selection } from '../protocol/messages.ts'

/** The rows of a view that may be read: all, or those of these keys and of keys that begin with these texts. */
export type ViewRight = 'all' | { keys: ReadonlySet<string>; prefixes: readonly string[] }

export interface Rights {
  /** By name of the view. */
  views: ReadonlyMap<string, ViewRight>
  /** Of views without a right of their own; undefined: none. */
  others: ViewRight | undefined
}

export const ALL_RIGHTS: Rights = { views: new Map(), others: 'all' }

/** Stands for views that are not named. */
const OTHERS = '*'
/** Keys and prefixes that a refusal names. */
const NAMED_MAX = 10

/**
 * Reads the rights of a token's claim; a text says what is wrong with it.
 *
 * @example
 * readRights(['candles']) // all of one view
 * readRights({ views: { candles: { prefixes: ['BTC'], keys: ['ETH'] }, '*': {} } })
 */
export function readRights(claim: unknown): Rights | string {
  const views = isObject(claim) && Object.hasOwn(claim, 'views') ? claim.views : claim
  if (Array.isArray(views)) return rightsOf(views.map((name) => [name, 'all']))
  if (!isObject(views) || views === claim) return 'it must be a list of views or an object with `views`'
  const rights: [string, ViewRight][] = []
  for (const [name, given] of Object.entries(views)) {
    const right = readRight(given)
    if (isProblem(right)) return `${JSON.stringify(name)} ${right.problem}`
    rights.push([name, right])
  }
  return rightsOf(rights)
}

function rightsOf(list: readonly [unknown, ViewRight][]): Rights | string {
  if (list.some(([name]) => typeof name !== 'string')) return 'its views must be texts'
  const views = new Map(list as readonly [string, ViewRight][])
  const others = views.get(OTHERS)
  views.delete(OTHERS)
  return { views, others }
}

/** Without `keys` and `prefixes` it is all rows; a field that is not known could mean less than that, so it is refused. */
function readRight(given: unknown): ViewRight | Problem {
  if (!isObject(given)) return { problem: 'must be an object with `keys`, `prefixes`, or neither' }
  const strange = Object.keys(given).find((name) => name !== 'keys' && name !== 'prefixes')
  if (strange !== undefined) return { problem: `has ${JSON.stringify(strange)}, which is not known` }
  const { keys, prefixes } = given
  if (keys === undefined && prefixes === undefined) return 'all'
  if (!areTexts(keys ?? []) || !areTexts(prefixes ?? [])) return { problem: 'must have lists of texts' }
  return { keys: new Set(keys as string[] | undefined), prefixes: (prefixes ?? []) as string[] }
}

interface Problem {
  problem: string
}

function isProblem(right: ViewRight | Problem): right is Problem {
  return right !== 'all' && 'problem' in right
}

function areTexts(list: unknown): boolean {
  return Array.isArray(list) && list.every((one) => typeof one === 'string')
}

/** The right to a view; undefined: none. One of its own stands in the place of the one to all others. */
export function rightTo({ views, others }: Rights, view: string): ViewRight | undefined {
  return views.get(view) ?? others
}

/** True when no view may be read. */
export function permitsNothing({ views, others }: Rights): boolean {
  return views.size === 0 && others === undefined
}

/** Why a selection may not be read (MR7020); undefined: it may. */
export function refusalOf(rights: Rights, view: string, selection: Selection): MillraceError | undefined {
  const right = rightTo(rights, view)
  if (right === 'all') return undefined
  if (right === undefined)
    return new MillraceError('MR7020', { what: `the view ${view}`, permitted: viewsText(rights) })
  if (isWithin(right, selection)) return undefined
  return new MillraceError('MR7020', { what: `${asked(selection)} of the view ${view}`, permitted: rightText(right) })
}

/** Keys beyond the right, not rows: whether rows are there now does not matter. */
function isWithin(right: Exclude<ViewRight, 'all'>, { key, keys, prefix }: Selection): boolean {
  const named = key === undefined ? keys : [key]
  if (named === undefined) return right.prefixes.some((permitted) => (prefix ?? '').startsWith(permitted))
  return named.every((one) => right.keys.has(one) || right.prefixes.some((permitted) => one.startsWith(permitted)))
}

function asked({ key, keys, prefix }: Selection): string {
  if (key !== undefined) return `the key ${key}`
  if (keys !== undefined) return `all of the keys ${listed(keys)}`
  return prefix === undefined ? 'all rows' : `the keys that begin with ${prefix}`
}

function rightText({ keys, prefixes }: Exclude<ViewRight, 'all'>): string {
  const parts = []
  if (prefixes.length > 0) parts.push(`the prefixes ${listed(prefixes)}`)
  if (keys.size > 0) parts.push(`the keys ${listed([...keys])}`)
  return parts.length === 0 ? 'none of its keys' : parts.join(' and ')
}

function viewsText(rights: Rights): string {
  const names = [...rights.views.keys()]
  return names.length === 0 ? 'no view' : `the views ${listed(names)}`
}

function listed(texts: readonly string[]): string {
  const rest = texts.length - NAMED_MAX
  return texts.slice(0, NAMED_MAX).join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}
