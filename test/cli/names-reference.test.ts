// The pages of topics, headers and metrics and the code, both ways: every name in use is told, every name told is in use.
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { count, job, kafka } from '../../src/index.ts'
import { planTopics } from '../../src/job/plan-topics.ts'

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/reference/topics-and-headers.md'), 'utf8')

/** The header names that the operators of a lane write: texts of the form 'millrace-...'. */
function writtenHeaders(): string[] {
  const folder = join(root, 'src/lane/operators')
  const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
  const names = texts.flatMap((text) => [...text.matchAll(/'(millrace-[a-z-]+)'/g)].map((match) => match[1]!))
  return [...new Set(names)].sort()
}

test('the page tells every header that is written, and no other', () => {
  const told = [...page.matchAll(/^\| `(millrace-[a-z-]+)` \|/gm)].map((match) => match[1]!)
  expect(writtenHeaders().length).toBeGreaterThan(0)
  expect([...new Set(told)].sort()).toEqual(writtenHeaders())
})

test('the page tells every topic that a job makes for itself', () => {
  const { plan } = job('j')
    .from(kafka<{ k: string }, 'k'>('in', { key: 'k' }))
    .keyBy('k')
    .aggregate({ n: count() })
    .toView('v')
    .build()
  const told = [...page.matchAll(/`(<job>-(?:dlq|changelog|view-<view>))`/g)].map((match) => match[1]!)
  const expected = planTopics(plan).names.map((name) => name.replace(/^j-/, '<job>-').replace(/view-v$/, 'view-<view>'))
  expect([...new Set(told)].sort()).toEqual(expected.sort())
})

test('the pages tell every metric of ours that the code registers, and no other', () => {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  )
  const texts = files.map((path) => readFileSync(join(root, 'src', path), 'utf8'))
  // The comments' examples are no registrations.
  const code = texts.map((text) => text.replace(/^\s*(\*|\/\/).*$/gm, '')).join('\n')
  const registered = new Set([...code.matchAll(/'(millrace_[a-z_]+)'/g)].map((match) => match[1]!))
  const pages = ['metrics', 'push']
    .map((name) => readFileSync(join(root, `docs/reference/${name}.md`), 'utf8'))
    .join('\n')
  const told = [...pages.matchAll(/^\| `(millrace_[a-z_]+)(?:\{[a-z,]+\})?` \|/gm)].map((match) => match[1]!)
  expect(registered.size).toBeGreaterThan(0)
  expect(told.sort()).toEqual([...registered].sort())
})
