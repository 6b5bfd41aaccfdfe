// Pages of jobs: which folder it is, what of it is served, and what is said when it cannot be. Holds SPEC: PUSH-38.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadPage, pageFor } from '../../src/cli/page.ts'
import type { Page } from '../../src/push/page-assets.ts'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-page-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

let count = 0
/** A new folder with these files. */
async function folderOf(files: Record<string, string>): Promise<string> {
  const folder = join(root, String(count++))
  for (const [file, text] of Object.entries(files)) {
    await mkdir(join(folder, file, '..'), { recursive: true })
    await writeFile(join(folder, file), text)
  }
  return folder
}

const textOf = (page: Page | undefined, path: string): string => Buffer.from(page!.get(path)!.body).toString()
const HTML = '<!doctype html><script type="module" src="main.js"></script>'

test('main.ts is bundled with what it imports and the client; sources are not served', async () => {
  const folder = await folderOf({
    'index.html': HTML,
    'main.ts': `import './main.css'
      import { createClient } from 'millrace/client'
      import type job from '../job.ts'
      import { title } from './lib/title.ts'
      document.title = title satisfies string
      createClient<typeof job>({ url: 'http://here' })`,
    'lib/title.ts': "export const title: string = 'a title of its own'",
    'main.css': 'body { color: red }',
    'img/logo.svg': '<svg/>',
    'tsconfig.json': '{}',
    'notes.md': 'for ourselves',
    '.env': 'SECRET=1',
  })
  const page = await loadPage(folder)
  expect([...page.keys()].sort()).toEqual(['/', '/img/logo.svg', '/main.css', '/main.js'])
  expect(textOf(page, '/')).toBe(HTML)
  expect(textOf(page, '/main.js')).toContain('a title of its own')
  expect(textOf(page, '/main.js')).toContain('millrace.json.v1')
  expect(textOf(page, '/main.css')).toMatch(/body\{color:red\}/)
  expect(page.get('/main.js')).toMatchObject({ contentType: 'text/javascript; charset=utf-8' })
})

test('a folder without main.ts is served as it is, links as what they lead to', async () => {
  const folder = await folderOf({ 'index.html': HTML, 'main.js': 'let made = "elsewhere"', '..data/a b.txt': 'text' })
  await symlink(join('..data', 'a b.txt'), join(folder, 'a b.txt'))
  const page = await loadPage(folder)
  expect([...page.keys()].sort()).toEqual(['/', '/a%20b.txt', '/main.js'])
  expect(textOf(page, '/main.js')).toBe('let made = "elsewhere"')
})

test('it is the folder beside the job, unless another is said, or none', async () => {
  const folder = await folderOf({ 'job.ts': '', 'page/index.html': 'beside', 'other/index.html': 'other' })
  const job = join(folder, 'job.ts')
  expect(textOf(await pageFor(undefined, job), '/')).toBe('beside')
  expect(textOf(await pageFor(join(folder, 'other'), job), '/')).toBe('other')
  expect(textOf(await pageFor(join(folder, 'other'), undefined), '/')).toBe('other')
  expect(await pageFor('none', job)).toBeUndefined()
  expect(await pageFor(undefined, undefined)).toBeUndefined()
  expect(await pageFor(undefined, join(await folderOf({ 'job.ts': '' }), 'job.ts'))).toBeUndefined()
})

test('the page of an example is the one that was built with the package, whatever is installed', async () => {
  const built = await loadPage(resolve('dist/examples/candles/page'))
  const page = await pageFor(undefined, resolve('examples/candles/job.ts'))
  expect([...page!.keys()].sort()).toEqual(['/', '/first-theme.js', '/icon.svg', '/main.css', '/main.js'])
  for (const [path, { tag }] of page!) expect(built.get(path)!.tag, path).toBe(tag)
  // As Apache-2.0 has it, the notice stays.
  expect(textOf(page, '/main.js')).toMatch(/Copyright \(c\) \d+ TradingView, Inc\./)
  expect(textOf(page, '/')).toContain('https://www.tradingview.com/')
})

test('all errors of a page are told with their places, and what is of Node is refused', async () => {
  const folder = await folderOf({
    'index.html': HTML,
    'main.ts': "import { job } from 'millrace'\nimport { x } from './none.ts'\nlet y: = 1\n",
  })
  const wrong = await folderOf({
    'index.html': HTML,
    'main.ts': "import { job } from 'millrace'\nimport './none.ts'\njob",
  })
  await expect(loadPage(folder)).rejects.toMatchObject({ code: 'MR7044' })
  await expect(loadPage(folder)).rejects.toThrow(/MR7044 .*main\.ts.* \(.*main\.ts:3:8\): let y: = 1/)
  await expect(loadPage(wrong)).rejects.toThrow(
    /A page cannot use millrace.* \(.*main\.ts:1:21\).*none\.ts.* \(.*main\.ts:2:8\)/,
  )
})

test('a folder that cannot be served is refused with why', async () => {
  const refused = async (files: Record<string, string>): Promise<string> => {
    const error: unknown = await loadPage(await folderOf(files)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'MR7045' })
    return (error as Error).message
  }
  expect(await refused({ 'main.ts': '' })).toContain('it has no index.html')
  expect(await refused({ 'index.html': '', 'views/a.js': '' })).toContain('views/a.js lies where the server has')
  expect(await refused({ 'index.html': '', 'big.txt': 'x'.repeat(33 << 20) })).toContain('larger than 32 MiB')
  const many = Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`${i}.txt`, '']))
  expect(await refused({ 'index.html': '', ...many })).toContain('more than 500 files')
  await expect(pageFor(join(root, 'nowhere'), undefined)).rejects.toThrow('there is no such folder')
})
