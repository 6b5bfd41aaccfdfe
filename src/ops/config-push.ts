// The configuration keys of push: part of the one table. Main thread; pure data.
// Keeps SPEC: CONFIG-1 (this table, the flags, the environment and docs/reference/config.md are equal).

import { AUTH_ROWS } from './config-push-auth.ts'
import type { ConfigRow } from './config-table.ts'

const MIB = 1024 * 1024

/** The defaults of the limits are those of the push server itself. */
export const PUSH_ROWS = [
  {
    key: 'push.host',
    type: 'string',
    default: '127.0.0.1',
    reason: 'Address of the push server (views over WebSocket and SSE).',
  },
  {
    key: 'push.port',
    type: 'integer',
    default: 8081,
    min: 0,
    max: 65_535,
    reason: 'Port of the push server; 0 takes any free one.',
  },
  {
    key: 'push.page',
    type: 'string',
    default: undefined,
    reason:
      'Folder of the page at `/`, see [push](push.md#a-page-of-your-own); `none` is the page that Millrace has. Default: `page` beside the job file, where there is one.',
  },
  {
    key: 'push.dir',
    type: 'string',
    default: undefined,
    reason:
      'Local folder for copies of views without history, of this process alone, never on NFS: rows beyond the memory are read from there, and a start reads only what came since. Without it views are in memory alone.',
  },
  {
    key: 'push.allowedOrigins',
    type: 'string',
    default: undefined,
    reason:
      'Origins of pages that may read the views beside the own page, separated by commas: `https://desk.example`; `*` allows all.',
  },
  ...AUTH_ROWS,
  {
    key: 'push.positionSecret',
    type: 'string',
    default: undefined,
    reason:
      'Signs the positions that clients hold, with the id of the topic; the same on all servers of a view. Without it the topic id alone does.',
  },
  {
    key: 'push.connectionsMax',
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    reason: 'Connections, WebSocket and SSE together; more are refused (MR7007).',
  },
  {
    key: 'push.connectionsPerAddressMax',
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    reason:
      'Connections from one address; clients behind one proxy have the same, unless `push.trustedProxies` says of it (MR7007).',
  },
  {
    key: 'push.trustedProxies',
    type: 'integer',
    default: 0,
    min: 0,
    max: 16,
    reason:
      'Proxies in front of the push server that each note in `X-Forwarded-For` whom they were asked by: with it `push.connectionsPerAddressMax` is of clients. Whoever can reach the server past them can say any address. 0: the header is not looked at.',
  },
  {
    key: 'push.subscribeMsMax',
    type: 'ms',
    default: 30_000,
    min: 100,
    max: 3_600_000,
    reason: 'A WebSocket whose client has subscribed to nothing within this time is closed (MR7022).',
  },
  {
    key: 'push.subscriptionsMax',
    type: 'integer',
    default: 100,
    min: 1,
    max: 100_000,
    reason: 'Subscriptions of one connection (MR7012).',
  },
  {
    key: 'push.viewRowsMax',
    type: 'integer',
    default: 1_000_000,
    min: 1,
    max: 100_000_000,
    reason:
      'Rows of a view in memory; one with more is not served any more (MR7003), or with `push.dir` read from its copy.',
  },
  {
    key: 'push.recentRowsMax',
    type: 'integer',
    default: 65_536,
    min: 1,
    max: 100_000_000,
    reason: 'Recent changes that a view remembers; a client that is further behind gets a new snapshot.',
  },
  {
    key: 'push.clientBytesMax',
    type: 'bytes',
    default: MIB,
    min: 1024,
    max: 256 * MIB,
    reason: 'Bytes that wait in the socket of one client; at the limit it is left alone until it has read them.',
  },
  {
    key: 'push.slowClientMsMax',
    type: 'ms',
    default: 30_000,
    min: 100,
    max: 3_600_000,
    reason: 'A client that did not catch up within this time is closed (MR7002).',
  },
  {
    key: 'push.drainMs',
    type: 'ms',
    default: 2_000,
    min: 0,
    max: 600_000,
    reason:
      'A stop tells the clients to move to another server and closes their connections spread over this time, so that they do not all come there at once; at most half of `limits.stopMs`.',
  },
  {
    key: 'push.staleAfterMs',
    type: 'ms',
    default: 30_000,
    min: 100,
    max: 86_400_000,
    reason: 'A view without a record for so long is quiet, and its clients are told; Kafka is asked why.',
  },
  {
    key: 'push.behindAfterMs',
    type: 'ms',
    default: 10_000,
    min: 100,
    max: 86_400_000,
    reason:
      'What was the end of the topic of a view so long ago and is not read yet: the view is behind, and its clients are told.',
  },
  {
    key: 'push.rowLagMsMax',
    type: 'ms',
    default: 0,
    min: 0,
    max: 8_640_000_000,
    reason:
      'A view whose newest row is older than this by its timestamp is behind too; 0: not looked at, since rows of windows are as old as their windows.',
  },
  {
    key: 'push.provisionalRowsMax',
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    reason: 'Keys of a view that have a row before its commit; rows of further keys are shown when they are committed.',
  },
  {
    key: 'push.provisionalBytesMax',
    type: 'bytes',
    default: 16 * MIB,
    min: 1024,
    max: 1024 * MIB,
    reason: 'Bytes of these rows of a view, counted as UTF-16.',
  },
  {
    key: 'push.provisionalMsMax',
    type: 'ms',
    default: 60_000,
    min: 100,
    max: 600_000,
    reason:
      'A row is shown before its commit for so long at most, whatever becomes of it; not less than `commit.maxMs`. An attempt that cannot commit takes its rows back long before.',
  },
] as const satisfies readonly ConfigRow[]
