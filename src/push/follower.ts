// Who follows a view: a subscription to its newest rows, or to the history of some keys. Main thread; types alone.
import type { LiveView } from './live-view.ts'
import type { Lens } from './selection.ts'

export interface Follower {
  readonly view: LiveView
  /** Chosen by the client. */
  readonly id: number
  readonly lens: Lens
  /** It is told of every row of its keys, not of the newest ones alone. */
  readonly hasHistory: boolean
  /** It wants rows before their commit. */
  readonly isProvisional: boolean
  /** Monotonic ms; it is told nothing before. */
  readonly dueMs: number
  /** Monotonic ms since when this server is behind the position that it is to go on at. */
  readonly behindSinceMs: number | undefined
  /** One of its keys has changed, after a sequence of the store that it is told from. */
  mark(sequence: number): void
  /** Tells the client what it can take now. */
  flush(nowMs: number): void
  /** Lets the client know how far the view is, though nothing of its rows has changed. */
  touch(nowMs: number): void
}
