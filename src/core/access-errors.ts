// The part of the table of errors about who may read the views, and how long a connection stays. Runs on every thread; pure.

import type { ErrorRow } from './error-row.ts'

export const ACCESS_ERRORS = {
  MR7016: {
    action: 'report',
    text: 'The request has no token.',
    remedy:
      'Send `Authorization: Bearer <token>`, or from a browser the subprotocols `millrace.json.v1` and `bearer.<token>`; `?token=` is read only where `push.auth.allowQueryToken` is true.',
  },
  MR7017: {
    action: 'report',
    text: 'The token is refused: {reason}.',
    remedy:
      'Compare the token with `push.auth.issuer`, `push.auth.audience`, `push.auth.algorithms` and the keys of the server.',
  },
  MR7018: {
    action: 'report',
    text: 'The token has expired.',
    remedy: 'Connect again with a new token.',
  },
  MR7019: {
    action: 'report',
    text: 'There are no keys to verify tokens with: {reason}.',
    remedy: 'Connect again later; look whether `push.auth.jwksUrl` can be reached from the server.',
  },
  MR7020: {
    action: 'report',
    text: 'The token does not permit {what}; it permits {permitted}.',
    remedy: 'Ask for what is permitted, or have the token say more (`push.auth.claim` names the claim).',
  },
  MR7021: {
    action: 'report',
    text: 'This server is about to stop and takes no more clients.',
    remedy: 'Connect again: another server, or the next run of this one, takes over.',
  },
  MR7022: {
    action: 'report',
    text: 'The client has subscribed to nothing within {limitMs} ms.',
    remedy: 'Subscribe as soon as the connection is open; `push.subscribeMsMax` sets the limit.',
  },
  MR7023: {
    action: 'report',
    text: 'The keys of push.auth cannot be used: {reason}.',
    remedy:
      'Give a JSON Web Key Set (`push.auth.jwksFile`), a public key or certificate as PEM (`push.auth.publicKeyFile`), or a secret that is long enough.',
  },
} as const satisfies Record<string, ErrorRow>
