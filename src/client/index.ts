// The public API of the client, nothing else: `millrace/client`. Runs in browsers and in Node.

export { type Client, type ClientOptions, createClient } from './client.ts'
export { ClientError } from './client-error.ts'
export type { AnyJob, ViewsOf, WireForm } from './job-rows.ts'
export type { Transport } from './link.ts'
export type { Subscription } from './subscription.ts'
export type {
  ChangedRow,
  ConditionOf,
  FieldOf,
  HeldRow,
  Picked,
  RemovedRow,
  RowState,
  View,
  ViewEvent,
  ViewFeed,
  ViewHandlers,
  ViewSelection,
  ViewState,
} from './view.ts'
export type { WebSocketClass, WebSocketLike } from './web-socket-link.ts'
