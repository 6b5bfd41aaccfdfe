// Waits for a price, in Node 20 with the WebSocket of the package ws.
import { createClient } from 'millrace/client'
import { WebSocket } from 'ws'
import type job from '../candles/job.ts'

export async function firstAbove(urls: string[], price: number): Promise<string> {
  const client = createClient<typeof job>({ urls, WebSocket })
  const dear = client.view('candles').subscribe({ where: { high: { gt: price } }, fields: ['sym', 'high'] })
  for await (const { rows } of dear) {
    for (const { row } of rows) if (row !== null) return `${row.sym} at ${row.high}`
  }
  throw new Error('somebody closed the subscription')
}
