// What the run under Node 24 leaves out where uWebSockets.js for it cannot be loaded: all that needs it, and nothing else.
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { isNewEnough, NEEDS_PUSH, PUSH_GLIBC_MIN } from '../../scripts/node24/left-out.mjs'

const root = resolve(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

test('a glibc is new enough from 2.38 on', () => {
  const are = ['2.38', '2.41', '3.0', '2.36', '2.4', undefined].map(isNewEnough)
  expect(are).toEqual([true, true, true, false, false, false])
})

test('the least glibc is the one of the loader', () => {
  const copy = read('src/push/uws.ts').match(/alias: 'uWebSockets\.js-24'[\s\S]*?glibcMin: '([\d.]+)'/)
  expect(copy?.[1]).toBe(PUSH_GLIBC_MIN)
})

test('of the quick suite exactly the files that load the server are named', () => {
  const loads = /from '[^']*(push-fixture|push\/server|push\/uws)\.ts'/
  const quick = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && !/^(integration|e2e)\//.test(path))
    .map((path) => `test/${path}`)
  const needing = quick.filter((path) => loads.test(read(path)))
  expect(NEEDS_PUSH).toEqual(needing.toSorted())
})
