// An aggregate of a plan as text: for people, and as the meaning of the state that it keeps.
// Runs on every thread; pure.
// Keeps SPEC: PLAN-2 (what state depends on is in the meaning, and nothing else).

import { AGGREGATES } from '../core/aggregates/catalog.ts'
import type { AggregatePlan } from './plan.ts'

/**
 * As `millrace plan` shows it.
 *
 * @example
 * aggregateText(plan) // "quantile(price, q 0.99, accuracy 0.01)"
 */
export function aggregateText(plan: AggregatePlan): string {
  if (plan.kind === 'custom') return `custom(${plan.fields?.join(', ') ?? 'record'})`
  return call(plan.kind, [...plan.fields, ...optionTexts(plan, () => true)], ', ')
}

/**
 * What its state means: without the options that only choose what a row shows. A custom accumulator is known by the name of its
 * result: its functions cannot be compared.
 *
 * @example
 * aggregateMeaning(plan) // "quantile(price,accuracy 0.01)"
 */
export function aggregateMeaning(plan: AggregatePlan): string {
  if (plan.kind === 'custom') return `custom:${plan.as}(${plan.fields?.join(',') ?? 'record'})`
  const needs = AGGREGATES[plan.kind].options
  return call(plan.kind, [...plan.fields, ...optionTexts(plan, (name) => needs?.[name]?.isOfResult !== true)], ',')
}

function call(name: string, inBrackets: readonly string[], separator: string): string {
  return inBrackets.length === 0 ? name : `${name}(${inBrackets.join(separator)})`
}

function optionTexts(
  { options }: Exclude<AggregatePlan, { kind: 'custom' }>,
  isShown: (name: string) => boolean,
): string[] {
  return Object.entries(options ?? {})
    .filter(([name]) => isShown(name))
    .map(([name, value]) => `${name} ${typeof value === 'number' ? value : value.join(' ')}`)
}
