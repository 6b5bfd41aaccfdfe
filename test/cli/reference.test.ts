// Tables = docs = code, both ways. Keeps SPEC: ERR-1, CONFIG-1, CLI-4.
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/program.ts'
import { referencePages } from '../../src/cli/reference.ts'
import { ERRORS, type ErrorCode } from '../../src/core/errors.ts'
import { envOf, flagOf } from '../../src/ops/config-names.ts'
import { CONFIG_ROWS } from '../../src/ops/config-table.ts'

const root = resolve(import.meta.dirname, '../..')
const pageText = (path: string) => readFileSync(join(root, path), 'utf8')

describe('the reference', () => {
  test.each(Object.keys(referencePages()))('%s is what `node scripts/docs.mjs` writes', (path) => {
    expect(pageText(path)).toBe(referencePages()[path])
  })

  test('has every code, and no code that the table has not', () => {
    const told = [...pageText('docs/reference/errors.md').matchAll(/^\| (MR\d{4}) \|/gm)].map((match) => match[1])
    expect(told).toEqual(Object.keys(ERRORS).sort())
  })

  test('has every key with its flag and variable, and no other', () => {
    const told = [...pageText('docs/reference/config.md').matchAll(/^\| `([\w.]+)` \| `(--[\w-]+)` \| `(\w+)` \|/gm)]
    expect(told.map(([, ...names]) => names)).toEqual(CONFIG_ROWS.map(({ key }) => [key, flagOf(key), envOf(key)]))
  })

  test('has every command, and no other', () => {
    const told = [...pageText('docs/reference/commands.md').matchAll(/^## (.+)$/gm)].map((match) => match[1])
    expect(told).toEqual(Object.keys(COMMANDS))
  })
})

describe('the code', () => {
  const sources = ['src', 'workers']
    .flatMap((top) =>
      readdirSync(join(root, top), { recursive: true, encoding: 'utf8' }).map((path) => join(top, path)),
    )
    .filter((path) => path.endsWith('.ts') && path !== 'src/core/errors.ts')
    .map((path) => ({ path, text: pageText(path) }))

  test('uses only codes that the table has', () => {
    const strays = sources.flatMap(({ path, text }) =>
      [...text.matchAll(/'(MR\d{4})'/g)]
        .filter((match) => !(match[1]! in ERRORS))
        .map((match) => `${path}: ${match[1]}`),
    )
    expect(strays).toEqual([])
  })

  test('uses every code that the table has', () => {
    const used = new Set(sources.flatMap(({ text }) => [...text.matchAll(/'(MR\d{4})'/g)].map((match) => match[1]!)))
    expect(Object.keys(ERRORS).filter((code) => !used.has(code))).toEqual([])
  })

  test('gives a value for every place in the text of an error that it throws', () => {
    const strays = sources.flatMap(({ path, text }) =>
      [...text.matchAll(/new MillraceError\(\s*'(MR\d{4})',\s*\{/g)].flatMap((match) => {
        const given = text.slice(match.index, match.index + 400)
        if (given.includes('...')) return []
        const places = [...ERRORS[match[1] as ErrorCode].text.matchAll(/\{(\w+)\}/g)].map((place) => place[1]!)
        return places
          .filter((place) => !new RegExp(`\\b${place}\\b`).test(given))
          .map((place) => `${path}: ${match[1]} without ${place}`)
      }),
    )
    expect(strays).toEqual([])
  })
})
