// The hook in components that React renders into a document, and as a server renders them. Holds SPEC: PUSH-23.
import { Window } from 'happy-dom'
import { act, createElement, type FunctionComponent, StrictMode } from 'react'
import type { Root } from 'react-dom/client'
import { renderToString } from 'react-dom/server'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { useView } from '../../src/client/react.ts'
import type { View, ViewSelection } from '../../src/client/view.ts'
import { eventually, startRig } from '../push/push-fixture.ts'
import { follow, type Row, row, scripted, snapshot, update } from './client-fixture.ts'

const window = new Window()
const scope = globalThis as Record<string, unknown>
const given = { window, document: window.document, navigator: window.navigator, IS_REACT_ACT_ENVIRONMENT: true }
/** What of them this runtime has not itself. */
const missing = Object.entries(given).filter(([name]) => !(name in scope))
let createRoot: (container: never) => Root
beforeAll(async () => {
  Object.assign(scope, Object.fromEntries(missing))
  // It looks for a document when it is loaded.
  createRoot = (await import('react-dom/client')).createRoot as never
})
afterAll(async () => {
  for (const [name] of missing) delete scope[name]
  await window.happyDOM.close()
})

const closers: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

type Props = { view: View<Row>; selection?: ViewSelection<Row> }

let renderCount = 0

/** All rows, in short. */
const Rows: FunctionComponent<Props> = ({ view, selection }) => {
  const { rows, byKey, state, error } = useView(view, selection)
  renderCount++
  expect(rows).toEqual([...byKey.values()])
  return [state, ...rows.map((each) => `${each.key}=${JSON.stringify(each.row)}`), error?.code].join(' ')
}

async function shown(component: FunctionComponent<Props>, props: Props, isStrict = false) {
  const container = window.document.createElement('div')
  const root = createRoot(container as never)
  const render = (given: Props): Promise<void> =>
    act(async () => {
      const element = createElement(component, given)
      root.render(isStrict ? createElement(StrictMode, null, element) : element)
    })
  const unmount = (): Promise<void> => act(async () => root.unmount())
  closers.push(unmount)
  renderCount = 0
  await render(props)
  return { text: () => container.textContent.trim(), render, unmount }
}

function playing() {
  const { client, opened, sockets } = scripted()
  closers.push(() => client.close())
  return { view: client.view('v'), other: client.view('w'), opened, sockets }
}

it('shows the rows as they change and go, and why there are no more', async () => {
  const { view, opened } = playing()
  const { text } = await shown(Rows, { view })
  expect(text()).toBe('connecting')
  const server = await opened(0)
  await act(async () => server.say(snapshot(1, row('a', 1), row('b', 1))))
  expect(text()).toBe('live a=1 b=1')
  await act(async () => server.say(update(1, 2, row('a', 2), row('b', null), row('c', 3))))
  expect(text()).toBe('live a=2 c=3')
  await act(async () => server.say({ type: 'error', code: 'MR7004', message: 'failed', canRetry: false }))
  expect(text()).toBe('closed a=2 c=3 MR7004')
})

it('is rendered once for what comes in one turn, and not at all for what changes nothing', async () => {
  const { view, opened } = playing()
  const { text } = await shown(Rows, { view })
  const server = await opened(0)
  await act(async () => server.say(snapshot(0, row('a', 0))))
  renderCount = 0
  await act(async () => {
    for (let n = 1; n <= 50; n++) server.say(update(n - 1, n, row('a', n)))
  })
  expect({ text: text(), renderCount }).toEqual({ text: 'live a=50', renderCount: 1 })
  await act(async () => server.say(update(50, 51)))
  expect(renderCount).toBe(1)
})

it('follows what the selection says, however often it is made anew, and ends with the component', async () => {
  const { view, other, opened } = playing()
  const { render, text, unmount } = await shown(Rows, { view, selection: { key: 'a' } })
  const server = await opened(0)
  await act(async () => server.say(snapshot(1, row('a', 1))))
  await render({ view, selection: { key: 'a' } })
  expect(server.sent).toHaveLength(1)
  await render({ view, selection: { key: 'b' } })
  await render({ view: other, selection: { key: 'b' } })
  await unmount()
  const [first, second, third] = [1, 2, 3]
  expect(server.sent).toEqual([
    { type: 'subscribe', id: first, view: 'v', key: 'a' },
    { type: 'unsubscribe', id: first },
    { type: 'subscribe', id: second, view: 'v', key: 'b' },
    { type: 'unsubscribe', id: second },
    { type: 'subscribe', id: third, view: 'w', key: 'b' },
    { type: 'unsubscribe', id: third },
  ])
  expect(text()).toBe('')
})

it('has one connection in strict mode, too, where components are mounted twice', async () => {
  const { view, opened, sockets } = playing()
  const { text } = await shown(Rows, { view }, true)
  const open = await eventually(() => sockets.some(({ isClosed }) => !isClosed)).then(() =>
    opened(sockets.findIndex(({ isClosed }) => !isClosed)),
  )
  await act(async () => open.say(snapshot(1, row('a', 1))))
  expect(text()).toBe('live a=1')
  expect(sockets.filter(({ isClosed }) => !isClosed)).toHaveLength(1)
})

it('shows the rows of a real server', async () => {
  const rig = await startRig()
  closers.push(() => rig.push.close())
  rig.put('A', { close: 1, open: 1 })
  const { client, subscription } = follow(`http://127.0.0.1:${rig.push.port}`, { key: 'none' })
  closers.push(() => client.close())
  const { text } = await shown(Rows, { view: client.view('candles'), selection: { fields: ['close'] } })
  await act(() => eventually(() => subscription.state === 'live'))
  rig.put('A', { close: 2, open: 1 })
  await act(() => eventually(() => text() === 'live A={"close":2}'))
})

it('renders on a server without rows, and without a connection', () => {
  const { view, sockets } = playing()
  expect(renderToString(createElement(Rows, { view })).trim()).toBe('connecting')
  expect(sockets).toEqual([])
})
