// How its view is fed, as a subscription has told its client. Main thread.
// Keeps SPEC: PUSH-36 (a client is told how the view is fed, when that changes).

import type { LiveView } from './live-view.ts'
import type { Outlet } from './subscription.ts'

export class ToldFeed {
  /** State and job, as the client knows them: one that is told nothing takes it to be live. */
  #told = 'live'

  /** Before rows that may be old by that. A view that is being read has no rows yet: only that Kafka is gone. */
  tell({ feed, isReady }: LiveView, id: number, outlet: Outlet): void {
    const told = feed.job === undefined ? feed.state : `${feed.state} ${feed.job}`
    if (told === this.#told || !outlet.isOpen() || !(isReady || feed.state === 'cut')) return
    this.#told = told
    outlet.send(outlet.codec.message({ type: 'feed', id, ...feed }))
  }
}
