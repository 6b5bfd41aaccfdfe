// Which path each operator takes. Keeps SPEC: PLAN-1.
import { expect, test } from 'vitest'
import { operatorPaths } from '../../src/cli/commands/plan.ts'
import type { OperatorPlan, Plan } from '../../src/job/plan.ts'

const filterFields: OperatorPlan = { kind: 'filter', name: 'f', fields: ['qty'], fn: 0 }
const filterWhole: OperatorPlan = { kind: 'filter', name: 'g', fields: undefined, fn: 0 }
const map: OperatorPlan = { kind: 'map', name: 'm', fields: ['a', 'b'], fn: 0 }
const flatMap: OperatorPlan = { kind: 'flatMap', name: 'x', fn: 0 }
const counted: OperatorPlan = { kind: 'aggregate', name: 'c', aggregates: [{ as: 'n', kind: 'count' }] }
const custom = (fields: string[] | undefined): OperatorPlan => ({
  kind: 'aggregate',
  name: 'c',
  aggregates: [{ as: 'own', kind: 'custom', fields, init: 0, add: 1, result: 2 }],
})

test.each<[OperatorPlan[], string[]]>([
  [[filterFields], ['fast: reads qty from the bytes']],
  [
    [filterWhole, filterFields],
    ['free: its function takes the whole record', 'fast: reads qty from the bytes'],
  ],
  [
    [map, filterFields],
    ['fast: reads a, b from the bytes', 'free: takes qty from what m gave'],
  ],
  [
    [flatMap, counted],
    ['free: its function takes the whole record', 'free: takes no field from what x gave'],
  ],
  [
    [counted, filterFields],
    ['fast: reads no field from the bytes', 'free: takes qty from what c gave'],
  ],
  [[custom(undefined)], ['free: own takes the whole record']],
  [[custom(['a'])], ['fast: reads a from the bytes']],
])('%j', (operators, expected) => {
  const paths = operatorPaths({ operators } as Plan)
  expect(paths.map(({ path, why }) => `${path}: ${why}`)).toEqual(expected)
})
