// A layer of rows against a sorted map: ranges between puts, of a layer that is sorted, in part and not at all. Quick.
// Keeps SPEC: STATE-2 (reads merge all layers).

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareKeys } from '../../src/state/keys.ts'
import { RowLayer } from '../../src/state/row-layer.ts'
import { hex, text } from './backend-cases.ts'

type Step =
  | { kind: 'put'; key: string; value: string | undefined }
  | { kind: 'ranges'; from: string; to: string; times: number }
  | { kind: 'first'; from: string }
  | { kind: 'clear' }

const keys = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'é'), maxLength: 3 })
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant('put'), key: keys, value: fc.option(keys, { nil: undefined }) }),
  },
  // More often than a layer is looked through before it is sorted.
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('ranges'), from: keys, to: keys, times: fc.integer({ min: 1, max: 12 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('first'), from: keys }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear') }) },
) as fc.Arbitrary<Step>

function run(layer: RowLayer, model: Map<string, string | undefined>, step: Step): void {
  const sorted = (): [Uint8Array, string | undefined][] =>
    [...model].map(([key, value]) => [text(key), value] as const).sort((a, b) => compareKeys(a[0], b[0])) as never
  const told = (key: Uint8Array, value: string | undefined) => [
    hex(key),
    value === undefined ? undefined : hex(text(value)),
  ]
  const rowAt = (entry: number) => {
    const value = layer.value(entry)
    return [hex(layer.key(entry)), value === undefined ? undefined : hex(value)]
  }
  switch (step.kind) {
    case 'put':
      layer.set(text(step.key), step.value === undefined ? undefined : text(step.value))
      model.set(step.key, step.value)
      break
    case 'ranges': {
      const [from, to] = [text(step.from), text(step.to)]
      const expected = sorted().filter(([key]) => compareKeys(key, from) >= 0 && compareKeys(key, to) < 0)
      for (let n = 0; n < step.times; n++) {
        expect(Array.from(layer.entriesIn(from, to), rowAt)).toEqual(expected.map((row) => told(...row)))
      }
      break
    }
    case 'first': {
      const expected = sorted().find(([key]) => compareKeys(key, text(step.from)) >= 0)
      const entry = layer.firstAtOrAfter(text(step.from))
      expect(entry < 0 ? undefined : rowAt(entry)).toEqual(expected && told(...expected))
      break
    }
    case 'clear':
      layer.clear()
      model.clear()
  }
}

test('ranges of a layer are those of a sorted map, whatever is put between them', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 120, size: 'max' }), (list) => {
      const layer = new RowLayer()
      const model = new Map<string, string | undefined>()
      for (const step of list) run(layer, model, step)
      const rows = [...layer.sortedRows()].map(([key]) => hex(key))
      expect(rows).toEqual([...rows].sort())
      expect(rows).toHaveLength(model.size)
    }),
    { numRuns: 200 },
  )
})
