// The client for React: `millrace/client/react`. Runs in browsers, and on a server that renders, where it shows no rows yet.
// Keeps SPEC: PUSH-17 (names and rows of a client's views are those of its job), PUSH-23 (a component shows the rows as they are).

import { useMemo, useSyncExternalStore } from 'react'
import type { ClientError } from './client-error.ts'
import {
  type FieldOf,
  type HeldRow,
  LIVE,
  type Picked,
  type View,
  type ViewFeed,
  type ViewSelection,
  type ViewState,
} from './view.ts'

/** What a component shows. A new object whenever something of it has changed. */
export interface ViewRows<R> {
  /** In the order in which the keys came. */
  readonly rows: readonly HeldRow<R>[]
  /** The same by key. */
  readonly byKey: ReadonlyMap<string, HeldRow<R>>
  readonly state: ViewState
  /** Whether the rows are fresh, as the server said last. */
  readonly feed: ViewFeed
  /** Why there will be no more. */
  readonly error: ClientError | undefined
}

/**
 * The rows of a view that are selected, as they are now; the component is rendered when they change, and they are followed as long as
 * it is there. The selection is compared by what it says. `minGapMs` in it limits how often that is.
 *
 * @example
 * const candles = client.view('candles')
 * function Price({ sym }: { sym: string }) {
 *   const { byKey } = useView(candles, { key: sym, minGapMs: 100 })
 *   return <b>{byKey.get(sym)?.row.close ?? '...'}</b>
 * }
 */
export function useView<R, const F extends FieldOf<R> = FieldOf<R>>(
  view: View<R>,
  selection?: ViewSelection<R, F>,
): ViewRows<Picked<R, F>> {
  const text = JSON.stringify(selection ?? {})
  const store = useMemo(() => storeOf<R, F>(view, JSON.parse(text)), [view, text])
  return useSyncExternalStore(store.follow, store.rows, store.rows)
}

interface Store<R> {
  /** Follows the view until the last that is told of changes goes. */
  follow(onChange: () => void): () => void
  rows(): ViewRows<R>
}

function storeOf<R, F extends FieldOf<R>>(view: View<R>, selection: ViewSelection<R, F>): Store<Picked<R, F>> {
  type Row = Picked<R, F>
  let shown: ViewRows<Row> = { rows: [], byKey: new Map(), state: 'connecting', feed: LIVE, error: undefined }
  let isChanged = false
  const follow = (onChange: () => void): (() => void) => {
    const changed = (): void => {
      isChanged = true
      onChange()
    }
    const followed = view.subscribe(selection, {
      onSnapshot: changed,
      onUpdate: changed,
      onState: changed,
      onFeed: changed,
    })
    subscription = followed
    return () => followed.close()
  }
  const rows = (): ViewRows<Row> => {
    if (isChanged && subscription !== undefined) {
      const { state, feed, error } = subscription
      const byKey = new Map(subscription.rows)
      shown = { rows: [...byKey.values()], byKey, state, feed, error }
      isChanged = false
    }
    return shown
  }
  let subscription: ReturnType<typeof view.subscribe<F>> | undefined
  return { follow, rows }
}
