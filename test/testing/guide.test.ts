// The testing guide shows the tests that are run. Keeps SPEC: TEST-1.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const text = (path: string): string => readFileSync(join(root, path), 'utf8')

test('the example of the guide is the file that the suite runs, letter for letter', () => {
  const [, shown] = /```ts\n([\s\S]*?)```/.exec(text('docs/guide/testing.md'))!
  expect(shown).toBe(text('examples/candles/job.test.ts'))
})
