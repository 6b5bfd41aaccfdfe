// How its view is fed, as a subscription has told its client. Main thread.
// Keeps SPEC: PUSH-36 (a client is told how the view is fed, when that changes).

import type { Follower } from './follower.ts'
import type { Outlet } from './subscription.ts'

export class ToldFeed {
  /** State, job and rows before their commit, as the client knows them: one that is told nothing takes it to be live. */
  #told = 'live'

  /** Before rows that may be old by that. A view that is being read has no rows yet: only that Kafka is gone. */
  tell(follower: Follower, outlet: Outlet): void {
    const { view, id, isProvisional } = follower
    const { feed, isReady, provisional } = view
    const isThere = provisional.isRunning && view.tellsProvisional(follower)
    const mine = isProvisional ? { ...feed, provisional: isThere } : feed
    const told = [feed.state, feed.job, mine.provisional].filter((one) => one !== undefined).join(' ')
    if (told === this.#told || !outlet.isOpen() || !(isReady || feed.state === 'cut')) return
    this.#told = told
    outlet.send(outlet.codec.message({ type: 'feed', id, ...mine }))
  }
}
