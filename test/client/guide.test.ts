// The guide to clients shows the files of examples/client, which run here. Holds SPEC: PUSH-17.
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createClient } from 'millrace/client'
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { afterEach, expect, test } from 'vitest'
import { Price } from '../../examples/client/price.tsx'
import { showPrices } from '../../examples/client/prices.ts'
import { firstAbove } from '../../examples/client/watch.ts'
import { eventually, freePort, type Rig, startRig } from '../push/push-fixture.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = join(root, 'examples/client')

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function rigged(): Promise<{ rig: Rig; url: string }> {
  const rig = await startRig()
  closers.push(() => rig.push.close())
  return { rig, url: `http://127.0.0.1:${rig.push.port}` }
}

const candle = (sym: string, close: number) => ({ sym, close, high: close + 1, windowStart: 0, windowEnd: 1000 })

test('the guide has each example, letter for letter but for its first comment, and no other', () => {
  const page = readFileSync(join(root, 'docs/guide/client.md'), 'utf8')
  const shown = [...page.matchAll(/```tsx?\n([\s\S]*?)```/g)].map(([, block]) => block!)
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8').replace(/^\/\/.*\n/, ''))
  expect(shown.sort()).toEqual(files.sort())
  expect(files).toHaveLength(3)
})

test('prices are shown as they come, over what the runtime has', async () => {
  const { rig, url } = await rigged()
  const shown: string[] = []
  const subscription = showPrices(url, 'BTC', (text) => shown.push(text))
  closers.push(() => subscription.close())
  await eventually(() => shown.length === 1)
  rig.put('BTC', candle('BTC', 7))
  rig.put('ETH', candle('ETH', 9))
  await eventually(() => shown.length === 2)
  rig.put('BTC', undefined)
  await eventually(() => shown.length === 3)
  expect(shown).toEqual(['no trade yet', '7.00 open', 'gone'])
  expect(subscription.rows.size).toBe(0)
})

test('a loop over the WebSocket of the package ws finds the row that it waits for, where the first server is not there', async () => {
  const { rig, url } = await rigged()
  const found = firstAbove([`http://127.0.0.1:${await freePort()}`, url], 10)
  rig.put('BTC', candle('BTC', 7))
  rig.put('ETH', candle('ETH', 12))
  expect(await found).toBe('ETH at 13')
  await eventually(() => rig.metrics.text().includes('millrace_push_clients 0'))
})

test('the component renders', () => {
  const client = createClient<typeof import('../../examples/candles/job.ts').default>({ url: 'http://x' })
  const html = renderToString(createElement(Price, { client, sym: 'BTC' }))
  expect(html.replaceAll('<!-- -->', '')).toBe('<p class="connecting">BTC ... </p>')
})
