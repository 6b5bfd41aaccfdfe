// What a page loads: the entries of the client as they are published, and what a bundler makes of them. Holds SPEC: PUSH-21.
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { expect, test } from 'vitest'
// @ts-expect-error a script without types
import { CLIENT_ENTRY_POINTS, forBrowsers } from '../../scripts/build.mjs'
import { ownError } from '../../src/client/client-error.ts'
import { errorText } from '../../src/core/errors.ts'

const root = resolve(import.meta.dirname, '../..')
const GZIP_BYTES_MAX = 6 * 1024

/** What `source`, which lies in the folder of this test, is made of for a page. */
async function bundled(source: string) {
  const { outputFiles, metafile } = await build({
    stdin: { contents: source, resolveDir: import.meta.dirname, loader: 'ts' },
    alias: { 'millrace/client': join(root, 'src/client/index.ts'), millrace: join(root, 'src/index.ts') },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    metafile: true,
    write: false,
  })
  return { text: outputFiles[0]!.text, inputs: Object.keys(metafile.inputs).filter((path) => path !== '<stdin>') }
}

const PAGE = `
  import { createClient } from 'millrace/client'
  import type job from '../../examples/candles/job.ts'
  createClient<typeof job>().view('candles').subscribe({}, { onUpdate: (rows) => console.log(rows) })
`

test('the client is at most 6 kB for a page, and has nothing of the job or of the server', async () => {
  const { text, inputs } = await bundled(PAGE)
  expect(text).toContain('millrace.json.v1')
  expect(gzipSync(text).length).toBeLessThan(GZIP_BYTES_MAX)
  expect(inputs.filter((path) => !/^src\/(client|protocol)\/[a-z-]+\.ts$/.test(path))).toEqual([])
  expect(inputs).toContain('src/client/client.ts')
})

test('each entry as it is published is whole and needs nothing but what it declares', async () => {
  const { outputFiles, metafile } = await build({ ...forBrowsers(join(root, 'dist')), metafile: true })
  const imported = Object.values(metafile!.outputs).flatMap(({ imports }) => imports.map(({ path }) => path))
  const published = outputFiles!.filter(({ path }) => path.endsWith('.js'))
  expect(published).toHaveLength(CLIENT_ENTRY_POINTS.length)
  expect(imported).toEqual(['react'])
  for (const { contents } of published) expect(gzipSync(contents).length).toBeLessThan(GZIP_BYTES_MAX)
})

test('the errors that a client sees itself read as in the table of errors', () => {
  expect(ownError('MR7041', 'why', false).message).toBe(`MR7041 ${errorText('MR7041', { reason: 'why' })}`)
  expect(ownError('MR7042', 'why', true).message).toBe(`MR7042 ${errorText('MR7042', { reason: 'why' })}`)
  expect(ownError('MR7043', 4006, false).message).toBe(`MR7043 ${errorText('MR7043', { closeCode: 4006 })}`)
})
