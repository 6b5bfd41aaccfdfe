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

test('each claim of the comparison about another engine has a source, pinned to a commit, and each source is cited', () => {
  const page = text('docs/compare.md')
  const sources = new Map([...page.matchAll(/^\[([A-Z]\d+)\]: (\S+)$/gm)].map(([, id, url]) => [id!, url!]))
  const commit = /^https:\/\/github\.com\/[\w.-]+\/[\w.-]+\/(?:blob|tree)\/[0-9a-f]{40}\//
  expect([...sources.values()].filter((url) => !commit.test(url))).toEqual([])
  // Of a row: the feature, Millrace, and one engine for each letter.
  const rows = page.split('\n').filter((line) => /^\| [^|]/.test(line) && !line.startsWith('| | '))
  const cells = rows.map((row) => row.split('|').slice(1, -1))
  const uncited = cells.flatMap(([feature, , ...others]) =>
    [...'KFBAQ'].filter((letter, i) => !others[i]?.includes(`[${letter}`)).map((letter) => `${feature}${letter}`),
  )
  expect(rows.length).toBeGreaterThan(40)
  expect(uncited).toEqual([])
  const cited = new Set(rows.flatMap((row) => [...row.matchAll(/\[([A-Z]\d+)\]/g)].map(([, id]) => id!)))
  expect([...sources.keys()].sort()).toEqual([...cited].sort())
})
