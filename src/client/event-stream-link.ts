// A connection over server-sent events, for where WebSockets do not get through: a stream for each subscription, read with `fetch`,
// which can say a token. Runs in browsers and in Node.
// Keeps SPEC: PUSH-18 (a client that was cut off comes back), PUSH-19 (where there is no WebSocket, events say the same).

import { isObject, parsedJson, readServerMessage, type Subscribe } from '../protocol/messages.ts'
import { type Link, type LinkEvents, type LinkOptions, LOST_CODE, Silence } from './link.ts'

export class EventStreamLink implements Link {
  readonly #options: LinkOptions
  readonly #events: LinkEvents
  readonly #streams = new Map<number, AbortController>()
  #isDone = false

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options
    this.#events = events
    queueMicrotask(() => {
      if (!this.#isDone) events.onReady()
    })
  }

  subscribe(message: Subscribe): void {
    const stream = new AbortController()
    this.#streams.set(message.id, stream)
    void this.#follow(message, stream)
  }
  unsubscribe(id: number): void {
    this.#streams.get(id)?.abort()
    this.#streams.delete(id)
  }
  close(): void {
    this.#isDone = true
    for (const id of [...this.#streams.keys()]) this.unsubscribe(id)
  }

  /** Ends when the stream does; one that is lost is the end of all. Never rejects. */
  async #follow(message: Subscribe, stream: AbortController): Promise<void> {
    const lost = (): void => {
      if (stream.signal.aborted || this.#isDone) return
      this.close()
      this.#events.onClose(LOST_CODE)
    }
    const silence = new Silence(this.#options.silenceMsMax, lost)
    stream.signal.addEventListener('abort', () => silence.stop())
    try {
      const response = await this.#ask(message, stream.signal)
      if (!response.ok) {
        // An answer that is not of our server is as good as none.
        if (this.#refused(message.id, response.status, parsedJson(await response.text()))) return
      } else if (response.body !== null) await this.#read(message.id, response.body.getReader(), silence, stream.signal)
    } catch {
      // The connection was lost, or ended on this side, which has its own way to tell.
    }
    lost()
  }

  #ask(
    { view, resume, minGapMs, history, provisional, id: _, type: __, ...select }: Subscribe,
    signal: AbortSignal,
  ): Promise<Response> {
    const { url, token } = this.#options
    const query = new URLSearchParams({ select: JSON.stringify(select) })
    if (resume !== undefined) query.set('resume', resume)
    if (minGapMs !== undefined) query.set('minGapMs', String(minGapMs))
    if (history !== undefined) query.set('history', String(history))
    if (provisional) query.set('provisional', 'true')
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return fetch(`${url}/events/${encodeURIComponent(view)}?${query}`, { headers, signal })
  }

  /** False: it is no refusal that our server says. */
  #refused(id: number, status: number, body: unknown): boolean {
    const error = { type: 'error', id, canRetry: status === 429 || status >= 500, ...(isObject(body) ? body : {}) }
    const message = readServerMessage(error)
    if (message === undefined) return false
    this.unsubscribe(id)
    this.#events.onMessage(message)
    return true
  }

  /** Messages until the stream ends. */
  async #read(
    id: number,
    reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> },
    silence: Silence,
    signal: AbortSignal,
  ): Promise<void> {
    const decoder = new TextDecoder()
    let text = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done || signal.aborted) return
      silence.touch()
      const from = Math.max(0, text.length - 1)
      text += decoder.decode(value, { stream: true })
      if (!text.includes('\n\n', from)) continue
      const events = text.split('\n\n')
      text = events.pop()!
      for (const event of events) {
        const message = readServerMessage(parsedJson(dataOf(event)))
        // The one subscription of a stream has the id 0 there.
        if (message !== undefined && !signal.aborted)
          this.#events.onMessage('id' in message ? { ...message, id } : message)
      }
    }
  }
}

function dataOf(event: string): string {
  const lines = event.split('\n').filter((line) => line.startsWith('data:'))
  return lines.map((line) => line.slice(5)).join('\n')
}
