// What goes wrong for a client: what a server says, and three things that the client sees itself. Runs in browsers and in Node.
// Keeps SPEC: PUSH-10 (a connection that ends says whether to come back), ERR-2 (nobody matches on messages).

/** Its `code` is one of the table of errors; `canRetry`: the client tries again by itself. */
export class ClientError extends Error {
  readonly code: string
  readonly canRetry: boolean

  constructor(code: string, message: string, canRetry: boolean) {
    super(message)
    this.name = 'ClientError'
    this.code = code
    this.canRetry = canRetry
  }
}

/** Texts as in the table of errors, which a client does not carry with it. */
export const OWN_ERRORS = {
  MR7041: (reason: string) => `The client cannot connect: ${reason}.`,
  MR7042: (reason: string) => `The client has no token: ${reason}.`,
  MR7043: (closeCode: number) => `The server closed the connection with code ${closeCode} and takes none like it.`,
}

export function ownError<C extends keyof typeof OWN_ERRORS>(
  code: C,
  value: Parameters<(typeof OWN_ERRORS)[C]>[0],
  canRetry: boolean,
): ClientError {
  return new ClientError(code, `${code} ${OWN_ERRORS[code](value as never)}`, canRetry)
}
