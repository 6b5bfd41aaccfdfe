// What the run under Node 24 leaves out where uWebSockets.js for it cannot be loaded: all that needs it, and nothing else.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { leftOut, NEEDS_PUSH, PUSH_GLIBC_MIN } from '../../scripts/node24/left-out.mjs'

const root = resolve(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

test('a glibc that is new enough leaves nothing out, an older one or none what needs the push server', () => {
  expect(leftOut('2.38')).toEqual([])
  expect(leftOut('2.41')).toEqual([])
  expect(leftOut('3.0')).toEqual([])
  expect(leftOut('2.36')).toEqual(NEEDS_PUSH)
  expect(leftOut('2.4')).toEqual(NEEDS_PUSH)
  expect(leftOut(undefined)).toEqual(NEEDS_PUSH)
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
  expect(NEEDS_PUSH.filter((path) => quick.includes(path)).toSorted()).toEqual(needing.toSorted())
  expect(NEEDS_PUSH.filter((path) => !existsSync(join(root, path)))).toEqual([])
})
