// docs/SPEC.md, the headers of the sources and the tests, both ways: no number without a rule, no rule without a place in
// the code and a test.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const FOLDERS = ['src', 'workers', 'scripts', 'bin', 'bench', 'test', 'examples']
const CODE = /\.(ts|mts|mjs|cjs|js|cc|h)$/
const COMMENT = /^\s*(\/\/|\/\*|\*|#)/
const ID = /^(?:R\d{1,2}|[A-Z]{2,}-\d+)$/

interface Rule {
  id: string
  sentence: string
  tests: string[]
}

/** The rows of all tables whose first cell is an id. */
function rules(): Rule[] {
  const rows: Rule[] = []
  for (const line of readFileSync(join(root, 'docs/SPEC.md'), 'utf8').split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim())
    if (!ID.test(cells[1] ?? '')) continue
    expect(cells, `a row of three cells: ${line}`).toHaveLength(5)
    const tests = [...cells[3]!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!)
    rows.push({ id: cells[1]!, sentence: cells[2]!, tests })
  }
  return rows
}

const RULES = rules()
const IDS = new Set(RULES.map(({ id }) => id))
/** `STATE` of `STATE-3`; the rules of time and results are `R` and a number. */
const FAMILIES = [...new Set(RULES.map(({ id }) => id.replace(/-?\d+$/, '')).filter((family) => family !== 'R'))]
/** Anything that looks like one of our ids: a family of ours and a number, or R and a number. */
const CITED = new RegExp(`\\b(?:(?:${FAMILIES.join('|')})-\\d+|R\\d{1,2})\\b`, 'g')

interface CodeFile {
  path: string
  lines: string[]
}

function codeFiles(): CodeFile[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => CODE.test(path) && !/(^|\/)build\//.test(path))
      .map((path) => ({
        path: join(folder, path),
        lines: readFileSync(join(root, folder, path), 'utf8').split('\n'),
      })),
  ).filter(({ path }) => path !== 'test/spec.test.ts')
}

const FILES = codeFiles()

/** What stands behind `Keeps SPEC:` or `Holds SPEC:`, to the end of its comment, without what is in brackets. */
function header({ lines }: CodeFile): string {
  const from = lines.findIndex((line) => COMMENT.test(line) && /(Keeps|Holds) SPEC:/.test(line))
  if (from < 0) return ''
  const rest = lines.slice(from)
  const end = rest.findIndex((line) => !COMMENT.test(line))
  const text = rest.slice(0, end < 0 ? rest.length : end).join(' ')
  return text.replace(/^.*?SPEC:/, '').replace(/\([^)]*\)/g, '')
}

/** The ids that a header names, `PUSH-1 to PUSH-9` written out; also those of families that there are not. */
function headerIds(file: CodeFile): string[] {
  const text = header(file).replace(/\b([A-Z]+)-(\d+) to \1-(\d+)\b/g, (_, family: string, from: string, to: string) =>
    Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => `${family}-${Number(from) + i}`).join(' '),
  )
  return text.match(/\b(?:[A-Z]{2,}-\d+|R\d{1,2})\b/g) ?? []
}

/** The ids that stand in comments anywhere in a file. */
function commentIds({ lines }: CodeFile): string[] {
  return lines.filter((line) => COMMENT.test(line)).flatMap((line) => line.match(CITED) ?? [])
}

describe('docs/SPEC.md', () => {
  test('has rules, each number once and those of a family in order', () => {
    expect(RULES.length).toBeGreaterThan(100)
    expect(RULES.map(({ id }) => id).filter((id, i, ids) => ids.indexOf(id) !== i)).toEqual([])
    for (const family of [...FAMILIES, 'R']) {
      const numbers = RULES.filter(({ id }) => id.replace(/-?\d+$/, '') === family).map(({ id }) =>
        Number(id.match(/\d+$/)![0]),
      )
      expect(numbers, family).toEqual([...numbers].sort((a, b) => a - b))
    }
  })

  test('says each rule as one sentence', () => {
    const odd = RULES.filter(({ sentence }) => !/^[A-Z`\d].+\.$/.test(sentence) || /\. [A-Z]/.test(sentence))
    expect(odd.map(({ id, sentence }) => `${id}: ${sentence}`)).toEqual([])
  })

  test('names at least one test of each rule, and only tests that there are', () => {
    const without = RULES.filter(({ tests }) => tests.length === 0).map(({ id }) => id)
    const missing = RULES.flatMap(({ id, tests }) =>
      tests
        .filter((path) => !/^test\/.+\.(test|test-d)\.ts$/.test(path) || !existsSync(join(root, path)))
        .map((path) => `${id}: ${path}`),
    )
    expect({ without, missing }).toEqual({ without: [], missing: [] })
  })

  test('has only rules that the code or a test cites', () => {
    const cited = new Set(FILES.flatMap((file) => [...headerIds(file), ...commentIds(file)]))
    expect([...IDS].filter((id) => !cited.has(id))).toEqual([])
  })
})

describe('the code', () => {
  test('names only rules that there are, in headers as in other comments', () => {
    const strays = FILES.flatMap((file) =>
      [...new Set([...headerIds(file), ...commentIds(file)])]
        .filter((id) => !IDS.has(id))
        .map((id) => `${file.path}: ${id}`),
    )
    expect(strays).toEqual([])
  })

  test('of a header is read as it is written', () => {
    const file = {
      path: 'x',
      lines: ['// What.', '// Keeps SPEC: R1 (of UTF-8), PUSH-1 to PUSH-3,', '// CLI-2.', 'code'],
    }
    expect(headerIds(file)).toEqual(['R1', 'PUSH-1', 'PUSH-2', 'PUSH-3', 'CLI-2'])
    expect(FILES.filter((each) => headerIds(each).length > 0).length).toBeGreaterThan(100)
  })
})
