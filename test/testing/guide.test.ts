// The guides show tests that are run. Holds SPEC: TEST-1.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const text = (path: string): string => readFileSync(join(root, path), 'utf8')

/** The blocks of TypeScript of a page. */
const blocks = (page: string): string[] => [...text(page).matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block]) => block!)

test('the example of the testing guide is the file that the suite runs, letter for letter', () => {
  expect(blocks('docs/guide/testing.md')[0]).toBe(text('examples/candles/job.test.ts'))
})

test.each(['windows', 'time', 'joins', 'keyed'])(
  'each example of the guide to %s is in the file that the suite runs, and each test there is in the guide',
  (name) => {
    const shown = blocks(`docs/guide/${name}.md`)
    const run = text(`examples/${name}/${name}.test.ts`)
    for (const block of shown) expect(run).toContain(block)
    const tests = (code: string): string[] => [...code.matchAll(/^test\(.*/gm)].map(([line]) => line)
    expect(tests(shown.join('')).sort()).toEqual(tests(run).sort())
  },
)
