// Requests to a push server as clients make them: plain ones, upgrades that are refused, streams of events.
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { readServerMessage, type ServerMessage } from '../../src/protocol/messages.ts'

export type Headers = Record<string, string>

export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: string
  /** The `code` of an error. */
  code: string | undefined
}

export function get(port: number, path: string, headers: Headers = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, path, headers, agent: false }, (res) => {
      let body = ''
      res.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      res.on('error', reject)
      res.on('end', () => resolve({ status: res.statusCode!, headers: res.headers, body, code: codeOf(body) }))
    })
    req.on('error', reject)
    req.end()
  })
}

/** Asks for a WebSocket; the answer to one that becomes one has status 101, and its connection is closed. */
export function upgrade(port: number, headers: Headers = {}, path = '/live'): Promise<Answer> {
  const own = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  }
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, path, headers: { ...own, ...headers }, agent: false })
    req.on('upgrade', (res, socket) => {
      socket.destroy()
      resolve({ status: res.statusCode!, headers: res.headers, body: '', code: undefined })
    })
    req.on('response', (res) => {
      let body = ''
      res.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      res.on('end', () => resolve({ status: res.statusCode!, headers: res.headers, body, code: codeOf(body) }))
    })
    req.on('error', reject)
    req.end()
  })
}

function codeOf(body: string): string | undefined {
  return body.startsWith('{') ? (JSON.parse(body) as { code?: string }).code : undefined
}

/** A stream of events that keeps its messages. */
export class EventStream {
  readonly messages: ServerMessage[] = []
  status: number | undefined
  isEnded = false
  readonly #request: ClientRequest

  constructor(port: number, path: string, headers: Headers = {}) {
    const req = request({ host: '127.0.0.1', port, path, headers, agent: false }, (res) => {
      this.status = res.statusCode
      let text = ''
      res.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          this.messages.push(readServerMessage(JSON.parse(text.slice(text.indexOf('data: ') + 6, end)))!)
          text = text.slice(end + 2)
        }
      })
      res.on('error', () => undefined) // `close` follows
      res.on('close', () => {
        this.isEnded = true
      })
    })
    req.on('error', () => undefined) // the test ends it
    req.end()
    this.#request = req
  }
  get socket(): Socket {
    return this.#request.socket!
  }
  close(): void {
    this.#request.destroy()
  }
}
