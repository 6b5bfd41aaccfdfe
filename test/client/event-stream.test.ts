// The client over server-sent events: where there is no WebSocket, and where a proxy lets none through. Holds SPEC: PUSH-18, PUSH-19.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { ClientOptions } from '../../src/client/client.ts'
import { eventually, type Rig, startRig } from '../push/push-fixture.ts'
import { follow, row, snapshot, update } from './client-fixture.ts'

const closers: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function rigged(): Promise<{ rig: Rig; url: string }> {
  const rig = await startRig()
  closers.push(() => rig.push.close())
  return { rig, url: `http://127.0.0.1:${rig.push.port}` }
}

function following(
  url: string,
  selection: Parameters<typeof follow>[1] = {},
  options: ClientOptions = {},
  view?: string,
) {
  const following = follow(url, selection, options, view)
  closers.push(() => following.client.close())
  return following
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void

async function serve(answer: Answer): Promise<{ url: string; server: Server }> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

/** Passes requests on to a server, and answers an upgrade as proxies do that know none. */
async function proxied(port: number): Promise<{ url: string; server: Server; upgrades: () => number }> {
  let upgrades = 0
  const { url, server } = await serve((incoming, outgoing) => {
    const { method, url: path, headers } = incoming
    const passed = request({ port, host: '127.0.0.1', method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(outgoing)
      // The end of the server is that of the answer.
      answer.on('error', () => outgoing.destroy())
    })
    passed.on('error', () => outgoing.destroy())
    outgoing.on('close', () => passed.destroy())
    passed.end()
  })
  server.on('upgrade', (_, socket) => {
    upgrades++
    socket.end('HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n')
  })
  return { url, server, upgrades: () => upgrades }
}

describe('over events', () => {
  it('holds the rows of the view as they change and go, of each subscription', async () => {
    const { rig, url } = await rigged()
    rig.put('A', { close: 1, n: 1 })
    const { client, subscription, states } = following(url, {}, { transport: 'sse' })
    const some = client.view('candles').subscribe({ where: { n: { gt: 1 } }, fields: ['close'], minGapMs: 1 })
    await eventually(() => subscription.state === 'live' && some.state === 'live')
    rig.put('Ä/ü', { close: 2, n: 2 })
    await eventually(() => subscription.rows.size === 2 && some.rows.size === 1)
    expect(some.rows.get('Ä/ü')!.row).toEqual({ close: 2 })
    rig.put('A', undefined)
    await eventually(() => subscription.rows.size === 1)
    expect(client.transport).toBe('sse')
    expect(states).toEqual(['loading', 'live'])
    some.close()
    rig.put('Ä/ü', { close: 3, n: 3 })
    await eventually(() => JSON.stringify(subscription.rows.get('Ä/ü')?.row) === '{"close":3,"n":3}')
    expect(some.rows.get('Ä/ü')!.row).toEqual({ close: 2 })
    await eventually(() => rig.metrics.text().includes('millrace_push_subscriptions 1'))
  })

  it('goes on where it was when the server is another one', async () => {
    const { rig, url } = await rigged()
    const second = await startRig({}, 2, rig.kafka)
    closers.push(() => second.push.close())
    rig.put('A', { close: 1 })
    const urls = [url, `http://127.0.0.1:${second.push.port}`]
    const { subscription, states, rowOf } = following(url, {}, { urls, transport: 'sse' })
    await eventually(() => subscription.state === 'live')
    await rig.push.close()
    rig.put('A', { close: 2 })
    await eventually(() => JSON.stringify(rowOf('A')) === '{"close":2}')
    expect(states).toEqual(['loading', 'live', 'waiting', 'connecting', 'live'])
  })

  it('is what a client takes whose proxy lets no WebSocket through, and after it a WebSocket is tried again', async () => {
    const { rig, url } = await rigged()
    const proxy = await proxied(rig.push.port)
    rig.put('A', { close: 1 })
    const { client, subscription, sockets, rowOf } = following(url, {}, { url: proxy.url, retryMs: 5 })
    await eventually(() => subscription.state === 'live')
    expect({ transport: client.transport, upgrades: proxy.upgrades() }).toEqual({ transport: 'sse', upgrades: 1 })
    proxy.server.closeAllConnections()
    rig.put('A', { close: 2 })
    await eventually(() => JSON.stringify(rowOf('A')) === '{"close":2}')
    expect({ transport: client.transport, upgrades: proxy.upgrades() }).toEqual({ transport: 'sse', upgrades: 2 })
    expect(sockets).toHaveLength(2)
    expect(subscription.gapCount).toBe(0)
  })

  it('says why a server refuses, and does not ask again where that is of no use', async () => {
    const { url } = await rigged()
    const none = following(url, {}, { transport: 'sse' }, 'none')
    const wrong = following(url, { where: { n: { eq: {} as never } } }, { transport: 'sse' })
    await eventually(() => none.subscription.state === 'closed' && wrong.subscription.state === 'closed')
    expect([none.errors, wrong.errors]).toEqual([['MR7001'], ['MR7006']])
  })

  it('asks again where a server is busy, and where the answer is not of one', async () => {
    const { rig } = await rigged()
    const answers: Answer[] = [
      (_, response) => response.writeHead(503).end('{"code":"MR7007","message":"MR7007 Too many.","remedy":""}'),
      (_, response) => response.writeHead(404).end('<html>no such site</html>'),
      (incoming, response) => {
        const path = `http://127.0.0.1:${rig.push.port}${incoming.url}`
        request(path, (answer) => answer.pipe(response.writeHead(200, answer.headers))).end()
      },
    ]
    const { url } = await serve((incoming, response) => answers.shift()!(incoming, response))
    const { subscription, errors } = following(url, {}, { transport: 'sse', retryMs: 5 })
    await eventually(() => subscription.state === 'live')
    expect(errors).toEqual(['MR7007'])
  })

  it('says the token in a header', async () => {
    const seen: unknown[] = []
    const { url } = await serve((incoming, response) => {
      seen.push(incoming.headers.authorization)
      response.writeHead(401).end('{"code":"MR7031","message":"MR7031 No.","remedy":""}')
    })
    const { subscription, errors } = following(url, {}, { transport: 'sse', token: () => 'jwt' })
    await eventually(() => subscription.state === 'closed')
    expect({ seen, errors }).toEqual({ seen: ['Bearer jwt'], errors: ['MR7031'] })
  })

  it('reads events in any pieces, and none but those of this version', async () => {
    let stream: ServerResponse | undefined
    const { url } = await serve((_, response) => {
      stream = response.writeHead(200, { 'content-type': 'text/event-stream' })
      stream.flushHeaders()
    })
    const { subscription, rowOf } = following(url, {}, { transport: 'sse' })
    await eventually(() => stream !== undefined)
    const event = (message: object): string => `id: x\ndata: ${JSON.stringify({ id: 0, ...message })}\n\n`
    const text = [
      ': a comment of a proxy\n\n',
      event(snapshot(1, row('ä', 'ö'))),
      event({ type: 'of-another-version' }),
      'data: no JSON\n\n',
      event(update(1, 2, row('ä', 'ü'))),
    ].join('')
    for (const byte of Buffer.from(text)) {
      stream!.write(Buffer.of(byte))
      await new Promise(setImmediate)
    }
    await eventually(() => rowOf('ä') === 'ü')
    expect(subscription.gapCount).toBe(0)
  })

  it('takes a silent stream for dead', async () => {
    let count = 0
    const { url } = await serve((_, response) => {
      count++
      response.writeHead(200).flushHeaders()
    })
    following(url, {}, { transport: 'sse', retryMs: 1, silenceMsMax: 30 })
    await eventually(() => count > 1)
  })
})
