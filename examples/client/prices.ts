// Prices of one symbol from the view of the candles job, for a page or a script.
import { createClient, type Subscription } from 'millrace/client'
import type job from '../candles/job.ts'

export function showPrices(url: string, sym: string, show: (text: string) => void): Subscription<{ close: number }> {
  const client = createClient<typeof job>({ url })
  return client.view('candles').subscribe(
    { key: sym, fields: ['close'] },
    {
      onSnapshot: (rows) => show(rows.map(({ row }) => row.close.toFixed(2)).join() || 'no trade yet'),
      onUpdate: (rows) => {
        for (const { row, state } of rows) show(row === null ? 'gone' : `${row.close.toFixed(2)} ${state}`)
      },
      onError: ({ message }) => show(message),
    },
  )
}
