// The price of a symbol as a React component.
import type { Client, ViewsOf } from 'millrace/client'
import { useView } from 'millrace/client/react'
import type job from '../candles/job.ts'

export function Price({ client, sym }: { client: Client<ViewsOf<typeof job>>; sym: string }) {
  const { byKey, state } = useView(client.view('candles'), { key: sym, minGapMs: 100 })
  const candle = byKey.get(sym)
  return (
    <p className={state}>
      {sym} {candle?.row.close.toFixed(2) ?? '...'} {candle?.state === 'final' && '(closed)'}
    </p>
  )
}
