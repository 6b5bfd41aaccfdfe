// Connects a client of node-rdkafka: an answer of a broker, or the reason why there is none, as soon as it is known. Main
// thread. librdkafka tries for ever in silence; what it reports meanwhile is read here.
// Keeps SPEC: SECURE-1 (wrong credentials end the wait at once), SECURE-2 (so does a certificate that is not trusted),
// STOP-1 (a start that waits for a broker can be stopped).
import { MillraceError } from '../../core/errors.ts'
import { KafkaError, type KafkaFailure } from '../port.ts'
import { closedError, failureOf, type RdkafkaError } from './failure.ts'
import type { Callback, RdClient, RdConsumer, RdMetadata, RdProducer } from './node-rdkafka.ts'
import type { PlainSettings } from './settings.ts'
import { asksForTls, speaksTls, tlsTrouble } from './tls-probe.ts'
import type { TokenSource } from './token-source.ts'

/** How a Kafka is reached, and how long that may take. */
export interface Connecting {
  brokers: string
  settings: PlainSettings
  /** Undefined: no client needs a token. */
  tokens: TokenSource | undefined
  /** How long the first answer of a broker is waited for. */
  connectMs: number
  /** Ends the wait. */
  stopping: AbortSignal | undefined
}

/** What the owner of the client does on the way. */
export interface ConnectSteps {
  /** librdkafka's handle is there, and no broker has been talked to. */
  handleMade(): void
  /** node-rdkafka is about to delete the handle. */
  handleGoing(): void
  /** What a consumer reports once and never again, such as that its group is refused: it is for the first poll. */
  reported(failure: KafkaFailure): void
}

/**
 * node-rdkafka asks in a thread of libuv's pool, and a process cannot end while one is in a call. So the broker is asked in
 * turns: what it reports, a stop and the end of the process wait for one of them at most. Each is twice as long as the one
 * before, so that a slow broker gets its time; one that takes longer for an answer than the last is of no use to a job.
 */
const TURN_FIRST_MS = 500
const TURN_MS_MAX = 2_000
const SERVE_EVERY_MS = 50
const CONSUME_WAIT_MS = 10

/**
 * Resolves when a broker has answered.
 *
 * @throws KafkaError `_DESTROY` when `stopping` ends the wait; MR3001 when librdkafka does not take the settings; MR4001 when no broker answers in time; MR4031 when they
 * refuse the credentials; MR4032 when TLS does not come about
 */
export async function connect(client: RdClient, connecting: Connecting, steps: ConnectSteps): Promise<void> {
  if (connecting.stopping?.aborted) throw closedError()
  const reports = new Reports(client)
  const ask = client.getMetadata
  let isHandleMade = false
  /** node-rdkafka hands on a copy of the error that has its words alone. */
  let failure: unknown
  const answered = async (): Promise<RdMetadata> => {
    isHandleMade = true
    try {
      steps.handleMade()
      return await untilAnswered(client, ask.bind(client), connecting, reports, steps)
    } catch (error) {
      failure = error
      steps.handleGoing()
      throw error
    }
  }
  try {
    // node-rdkafka asks for the metadata once, with the whole time, and deletes the client when that fails.
    client.getMetadata = (_options, done) => {
      answered().then((metadata) => done(null, metadata), done as (error: unknown) => void)
    }
    await new Promise<void>((resolve, reject) =>
      client.connect({ allTopics: false, timeout: connecting.connectMs }, (error) =>
        error ? reject(error) : resolve(),
      ),
    )
  } catch (error) {
    if (!isHandleMade) throw settingsError(error as Error)
    throw failure ?? new KafkaError(failureOf(error as RdkafkaError))
  } finally {
    client.getMetadata = ask
    reports.end()
  }
}

/** A client from its settings; those that librdkafka refuses are told as such. */
export function madeClient<C>(make: () => C): C {
  try {
    return make()
  } catch (error) {
    throw settingsError(error as Error)
  }
}

/** node-rdkafka keeps librdkafka's words whole in the first line of the stack alone. */
function settingsError(error: Error): MillraceError {
  const words = (error.stack ?? error.message).split('\n')[0]!.replace(/^\w*Error: /, '')
  return new MillraceError('MR3001', { problems: `librdkafka: ${words}` }, { cause: error })
}

type Ask = (options: { allTopics: boolean; timeout: number }, done: Callback<RdMetadata>) => void

async function untilAnswered(
  client: RdClient,
  ask: Ask,
  connecting: Connecting,
  reports: Reports,
  steps: ConnectSteps,
): Promise<RdMetadata> {
  const untilMs = performance.now() + connecting.connectMs
  const served = serve(client, (failure) => steps.reported(failure))
  let isProbed = false
  try {
    for (let turnMs = TURN_FIRST_MS; ; turnMs = Math.min(turnMs * 2, TURN_MS_MAX)) {
      const leftMs = Math.max(1, untilMs - performance.now())
      const answer = await once(ask, Math.ceil(Math.min(turnMs, leftMs)))
      if ('metadata' in answer) return answer.metadata
      if (connecting.stopping?.aborted) throw closedError()
      if (reports.names.has('_AUTHENTICATION')) throw refusedCredentials(connecting, reports)
      if (!isProbed && reports.isTlsSuspect(connecting)) {
        isProbed = true
        await throwTlsTrouble(connecting, reports)
      }
      const { name } = answer.failure
      const isAway = name === '_TRANSPORT' || name === '_TIMED_OUT'
      if (!isAway) throw new KafkaError(answer.failure)
      if (performance.now() >= untilMs) throw await noAnswer(connecting, reports)
    }
  } finally {
    await served.end()
  }
}

function once(ask: Ask, timeout: number) {
  return new Promise<{ metadata: RdMetadata } | { failure: ReturnType<typeof failureOf> }>((resolve) =>
    ask({ allTopics: false, timeout }, (error, metadata) =>
      resolve(error ? { failure: failureOf(error) } : { metadata }),
    ),
  )
}

/** What librdkafka reports comes out only while somebody polls. */
function serve(client: RdClient, reported: (failure: KafkaFailure) => void): { end(): Promise<void> } {
  let isEnding = false
  let serving: Promise<void> | undefined
  const timer = setInterval(() => {
    if (isEnding || serving !== undefined) return
    if (!('consume' in client)) {
      ;(client as RdProducer).poll()
      return
    }
    const consumer = client as RdConsumer
    consumer.setDefaultConsumeTimeout(CONSUME_WAIT_MS)
    // Nothing is assigned yet: this brings reports alone.
    serving = new Promise<void>((resolve) =>
      consumer.consume(1, (error) => {
        serving = undefined
        if (error) reported(failureOf(error))
        resolve()
      }),
    )
  }, SERVE_EVERY_MS)
  return {
    async end() {
      isEnding = true
      clearInterval(timer)
      await serving
    },
  }
}

/** Names of the errors that the client reports, and the last words of its log. */
class Reports {
  readonly names = new Set<string>()
  lastWords = 'nothing'
  readonly #client: RdClient
  readonly #onError = (error: RdkafkaError) => void this.names.add(failureOf(error).name)
  readonly #onLog = ({ fac, message }: { fac: string; message: string }) => {
    // `[thrd:...]: host:port/id: what happened`
    if (fac === 'FAIL' || fac === 'ERROR') this.lastWords = message.replace(/^\[[^\]]*\]: /, '')
  }

  constructor(client: RdClient) {
    this.#client = client
    client.on('event.error', this.#onError)
    client.on('event.log', this.#onLog)
  }
  end(): void {
    this.#client.off('event.error', this.#onError)
    this.#client.off('event.log', this.#onLog)
  }
  isTlsSuspect({ settings }: Connecting): boolean {
    return asksForTls(settings) && (this.names.has('_SSL') || this.names.has('_TRANSPORT'))
  }
}

function refusedCredentials({ brokers }: Connecting, { lastWords }: Reports): MillraceError {
  return new MillraceError('MR4031', { brokers, reason: lastWords })
}

async function throwTlsTrouble({ brokers, settings }: Connecting, reports: Reports): Promise<void> {
  const trouble = await tlsTrouble(brokers, settings)
  if (trouble !== undefined) throw new MillraceError('MR4032', { brokers, ...trouble })
  if (!reports.names.has('_SSL')) return
  const remedy = 'Look at the `kafka.ssl.*` settings and at the certificate of the brokers.'
  throw new MillraceError('MR4032', { brokers, reason: reports.lastWords, remedy })
}

async function noAnswer({ brokers, settings, connectMs }: Connecting, reports: Reports): Promise<MillraceError> {
  const isTlsMissing = !asksForTls(settings) && (await speaksTls(brokers))
  const reason = isTlsMissing
    ? 'the listener speaks TLS, but kafka.security.protocol is not ssl or sasl_ssl'
    : reports.lastWords
  return new MillraceError('MR4001', { brokers, waitedMs: connectMs, reason })
}
