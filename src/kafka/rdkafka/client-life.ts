// The life of one client of node-rdkafka: connected, its calls counted, closed only when none is out. Main thread.
// Keeps SPEC: NATIVE-1 (node-rdkafka's disconnect deletes the handle on a thread of its own, whoever uses it meanwhile: so it
// is never called while a call is out, on any thread. The client is abandoned then, and freed when its call returns).
import { setImmediate } from 'node:timers/promises'
import { MillraceError } from '../../core/errors.ts'
import { KafkaError, type KafkaFailure } from '../port.ts'
import type { Addon, Done, NativeClient } from './addon.ts'
import { type Connecting, connect } from './connect.ts'
import { closedError, failureOf } from './failure.ts'
import type { Callback, RdClient } from './node-rdkafka.ts'
import { type ClientRights, concerns, refusalOf } from './refusal.ts'
import type { Token } from './token-request.ts'
import type { TokenSource } from './token-source.ts'

/** How long close waits for calls that are out, and then for the disconnect itself. */
const CLOSE_LIMIT_MS = 5_000
/** Errors of the client kept between two polls; the oldest go first. */
const CLIENT_ERRORS_MAX = 100

const EXTENSIONS_NEED_ADDON = 'kafka.sasl.oauthbearer.extensions needs the native addon'

let abandonedCount = 0

/** Clients whose call or disconnect has not come back. At two, a process should end: each holds threads and memory. */
export function abandonedClients(): number {
  return abandonedCount
}

export class ClientLife<C extends RdClient> {
  readonly client: C
  readonly #tokens: TokenSource | undefined
  readonly #rights: ClientRights
  #native: NativeClient | undefined
  readonly #disconnect: (done: Callback) => void
  #outCount = 0
  #isClosing = false
  #closing: Promise<void> | undefined
  #whenIdle: (() => void)[] = []
  #errors: KafkaFailure[] = []

  private constructor(
    client: C,
    tokens: TokenSource | undefined,
    rights: ClientRights,
    disconnect: (done: Callback) => void,
  ) {
    this.client = client
    this.#tokens = tokens
    this.#rights = rights
    this.#disconnect = disconnect
    client.on('event.error', (error: Parameters<typeof failureOf>[0]) => this.#note(failureOf(error)))
  }

  /**
   * Connects a client; it has an answer of a broker then.
   *
   * @throws MR4001 when none answers in time, MR4031 to MR4033 when they do not let us in, MR3001 for wrong settings,
   * KafkaError `_DESTROY` when `stopping` ends the wait
   */
  static async open<C extends RdClient>(
    client: C,
    addon: Addon | undefined,
    rights: ClientRights,
    disconnect: (done: Callback) => void,
    connecting: Connecting,
  ): Promise<ClientLife<C>> {
    const { tokens, connectMs, stopping } = connecting
    const life = new ClientLife(client, tokens, rights, disconnect)
    const token = await tokens?.current(connectMs, stopping)
    const reported: KafkaFailure[] = []
    await connect(client, connecting, {
      handleMade() {
        if (addon !== undefined) life.#native = new addon.NativeClient(client._client)
        if (token !== undefined) life.takeToken(token, tokens!.extensions)
      },
      handleGoing: () => life.#native?.release(),
      reported: (failure) => reported.push(failure),
    })
    // What was in the way is over: a broker has answered.
    life.takeErrors()
    for (const failure of reported) life.#note(failure)
    tokens?.add(life)
    return life
  }

  /** Undefined on the plain path. */
  get native(): NativeClient | undefined {
    return this.#native
  }

  /** The token that librdkafka shows from now on, at new connections and where a session is to be prolonged. */
  takeToken(token: Token, extensions: readonly string[]): void {
    if (this.#isClosing) return
    if (this.#native === undefined) {
      if (extensions.length > 0) throw new MillraceError('MR3001', { problems: EXTENSIONS_NEED_ADDON })
      this.client.setOauthBearerToken(token.value)
      return
    }
    try {
      this.#native.setToken(token.value, token.expiresAtMs, extensions)
    } catch (failure) {
      throw failure instanceof Error ? failure : new KafkaError(failure as KafkaFailure)
    }
  }

  get isClosing(): boolean {
    return this.#isClosing
  }
  get outCount(): number {
    return this.#outCount
  }

  /** A call of the addon, counted. */
  callNative<T = undefined>(
    start: (native: NativeClient, done: Done<T>) => void,
    rights: ClientRights = this.#rights,
  ): Promise<T> {
    return this.#count<T>((resolve, reject) =>
      start(this.native!, (failure, result) =>
        failure === undefined ? resolve(result) : reject(this.errorOf(failure, rights)),
      ),
    )
  }

  /** A call of node-rdkafka, counted. */
  callPlain<T = unknown>(start: (client: C, done: Callback<T>) => void): Promise<T> {
    return this.#count<T>((resolve, reject) =>
      start(this.client, (error, result) => (error ? reject(this.errorOf(failureOf(error))) : resolve(result))),
    )
  }

  /** The error for a failure: with a code of its own where no new attempt mends it. */
  errorOf(failure: KafkaFailure, rights: ClientRights = this.#rights): Error {
    return refusalOf(failure, rights) ?? new KafkaError(failure)
  }

  /** Whether what was reported is of this client at all. */
  concerns(failure: KafkaFailure): boolean {
    return concerns(failure, this.#rights)
  }

  /** @throws KafkaError `_DESTROY` after close */
  requireOpen(): void {
    if (this.#isClosing) throw closedError()
  }

  /** What the client reported beside its calls since the last time. */
  takeErrors(): KafkaFailure[] {
    const errors = this.#errors
    this.#errors = []
    return errors
  }

  /** Ends waiting calls, then disconnects; idempotent. `whenIdle` runs before that, when no call is out. */
  close(whenIdle: () => void = () => {}): Promise<void> {
    this.#closing ??= this.#close(whenIdle)
    return this.#closing
  }

  async #close(whenIdle: () => void): Promise<void> {
    this.#isClosing = true
    this.#tokens?.remove(this)
    this.native?.stop()
    const isIdle = await within(CLOSE_LIMIT_MS, this.#idle())
    if (isIdle) {
      await this.#free(whenIdle)
      return
    }
    abandonedCount++
    // Owned by the client itself from here on: it is freed when its call returns.
    void this.#idle()
      .then(() => this.#free(whenIdle))
      .finally(() => abandonedCount--)
  }

  async #free(whenIdle: () => void): Promise<void> {
    whenIdle()
    const gone = this.#closeConsumer()
      .then(() => setImmediate()) // a rebalance that the close has brought is told first
      .then(() => this.#disconnected())
    if (await within(CLOSE_LIMIT_MS, gone)) return
    abandonedCount++
    void gone.finally(() => abandonedCount--)
  }

  /**
   * A consumer's close brings a last rebalance, which is answered on this thread: while the handle is there, and not inside
   * the disconnect, which deletes it. One that was closed already, or has failed for good, is left to the disconnect.
   */
  #closeConsumer(): Promise<void> {
    const { native } = this
    if (native === undefined || !('consume' in this.client)) return Promise.resolve()
    return new Promise((resolve) => native.close(() => resolve()))
  }

  #disconnected(): Promise<void> {
    this.native?.release()
    return new Promise((resolve) => this.#disconnect(() => resolve()))
  }

  #idle(): Promise<void> {
    if (this.#outCount === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  #count<T>(start: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
    if (this.#isClosing) return Promise.reject(closedError())
    this.#outCount++
    return new Promise<T>((resolve, reject) => start(resolve, reject))
      .catch((error: unknown) => {
        // The addon throws failures as plain objects from its synchronous part.
        throw error instanceof Error ? error : new KafkaError(error as KafkaFailure)
      })
      .finally(() => this.#ended())
  }

  #ended(): void {
    this.#outCount--
    if (this.#outCount > 0) return
    const waiting = this.#whenIdle
    this.#whenIdle = []
    for (const resolve of waiting) resolve()
  }

  #note(failure: KafkaFailure): void {
    this.#errors.push(failure)
    if (this.#errors.length > CLIENT_ERRORS_MAX) this.#errors.shift()
  }
}

/** Whether `done` comes within the time. */
async function within(limitMs: number, done: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs)
  })
  try {
    return await Promise.race([done.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
