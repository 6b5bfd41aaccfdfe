// The settings of librdkafka 2.12 by name, each with what it takes, so that a wrong one is told before any client is made.
// Any thread; pure data. A test holds it equal to librdkafka's own CONFIGURATION.md; callbacks are left out.
// Keeps SPEC: CONFIG-2.
import { nearest } from './nearest.ts'

/** `name: what it takes`: `text`, `boolean`, `whole MIN..MAX`, `number MIN..MAX`, `one of A|B`. */
const TABLE = `
client.id: text
metadata.broker.list: text
bootstrap.servers: text
message.max.bytes: whole 1000..1000000000
message.copy.max.bytes: whole 0..1000000000
receive.message.max.bytes: whole 1000..2147483647
max.in.flight.requests.per.connection: whole 1..1000000
max.in.flight: whole 1..1000000
metadata.recovery.strategy: one of none|rebootstrap
metadata.recovery.rebootstrap.trigger.ms: whole 0..2147483647
topic.metadata.refresh.interval.ms: whole -1..3600000
metadata.max.age.ms: whole 1..86400000
topic.metadata.refresh.fast.interval.ms: whole 1..60000
topic.metadata.refresh.fast.cnt: whole 0..1000
topic.metadata.refresh.sparse: boolean
topic.metadata.propagation.max.ms: whole 0..3600000
topic.blacklist: text
debug: text
socket.timeout.ms: whole 10..300000
socket.blocking.max.ms: whole 1..60000
socket.send.buffer.bytes: whole 0..100000000
socket.receive.buffer.bytes: whole 0..100000000
socket.keepalive.enable: boolean
socket.nagle.disable: boolean
socket.max.fails: whole 0..1000000
broker.address.ttl: whole 0..86400000
broker.address.family: one of any|v4|v6
socket.connection.setup.timeout.ms: whole 1000..2147483647
connections.max.idle.ms: whole 0..2147483647
reconnect.backoff.jitter.ms: whole 0..3600000
reconnect.backoff.ms: whole 0..3600000
reconnect.backoff.max.ms: whole 0..3600000
statistics.interval.ms: whole 0..86400000
log_level: whole 0..7
log.queue: boolean
log.thread.name: boolean
enable.random.seed: boolean
log.connection.close: boolean
internal.termination.signal: whole 0..128
api.version.request: boolean
api.version.request.timeout.ms: whole 1..300000
api.version.fallback.ms: whole 0..604800000
broker.version.fallback: text
allow.auto.create.topics: boolean
security.protocol: one of plaintext|ssl|sasl_plaintext|sasl_ssl
ssl.cipher.suites: text
ssl.curves.list: text
ssl.sigalgs.list: text
ssl.key.location: text
ssl.key.password: text
ssl.key.pem: text
ssl.certificate.location: text
ssl.certificate.pem: text
ssl.ca.location: text
https.ca.location: text
https.ca.pem: text
ssl.ca.pem: text
ssl.ca.certificate.stores: text
ssl.crl.location: text
ssl.keystore.location: text
ssl.keystore.password: text
ssl.providers: text
ssl.engine.location: text
ssl.engine.id: text
enable.ssl.certificate.verification: boolean
ssl.endpoint.identification.algorithm: one of none|https
sasl.mechanisms: text
sasl.mechanism: text
sasl.kerberos.service.name: text
sasl.kerberos.principal: text
sasl.kerberos.kinit.cmd: text
sasl.kerberos.keytab: text
sasl.kerberos.min.time.before.relogin: whole 0..86400000
sasl.username: text
sasl.password: text
sasl.oauthbearer.config: text
enable.sasl.oauthbearer.unsecure.jwt: boolean
sasl.oauthbearer.method: one of default|oidc
sasl.oauthbearer.client.id: text
sasl.oauthbearer.client.credentials.client.id: text
sasl.oauthbearer.client.credentials.client.secret: text
sasl.oauthbearer.client.secret: text
sasl.oauthbearer.scope: text
sasl.oauthbearer.extensions: text
sasl.oauthbearer.token.endpoint.url: text
sasl.oauthbearer.grant.type: one of client_credentials|urn:ietf:params:oauth:grant-type:jwt-bearer
sasl.oauthbearer.assertion.algorithm: one of RS256|ES256
sasl.oauthbearer.assertion.private.key.file: text
sasl.oauthbearer.assertion.private.key.passphrase: text
sasl.oauthbearer.assertion.private.key.pem: text
sasl.oauthbearer.assertion.file: text
sasl.oauthbearer.assertion.claim.aud: text
sasl.oauthbearer.assertion.claim.exp.seconds: whole 1..2147483647
sasl.oauthbearer.assertion.claim.iss: text
sasl.oauthbearer.assertion.claim.jti.include: boolean
sasl.oauthbearer.assertion.claim.nbf.seconds: whole 0..2147483647
sasl.oauthbearer.assertion.claim.sub: text
sasl.oauthbearer.assertion.jwt.template.file: text
sasl.oauthbearer.metadata.authentication.type: one of none|azure_imds
plugin.library.paths: text
group.id: text
group.instance.id: text
partition.assignment.strategy: text
session.timeout.ms: whole 1..3600000
heartbeat.interval.ms: whole 1..3600000
group.protocol.type: text
group.protocol: one of classic|consumer
group.remote.assignor: text
coordinator.query.interval.ms: whole 1..3600000
max.poll.interval.ms: whole 1..86400000
enable.auto.commit: boolean
auto.commit.interval.ms: whole 0..86400000
enable.auto.offset.store: boolean
queued.min.messages: whole 1..10000000
queued.max.messages.kbytes: whole 1..2097151
fetch.wait.max.ms: whole 0..300000
fetch.queue.backoff.ms: whole 0..300000
fetch.message.max.bytes: whole 1..1000000000
max.partition.fetch.bytes: whole 1..1000000000
fetch.max.bytes: whole 0..2147483135
fetch.min.bytes: whole 1..100000000
fetch.error.backoff.ms: whole 0..300000
offset.store.method: one of none|file|broker
isolation.level: one of read_uncommitted|read_committed
enable.partition.eof: boolean
check.crcs: boolean
client.rack: text
transactional.id: text
transaction.timeout.ms: whole 1000..2147483647
enable.idempotence: boolean
enable.gapless.guarantee: boolean
queue.buffering.max.messages: whole 0..2147483647
queue.buffering.max.kbytes: whole 1..2147483647
queue.buffering.max.ms: number 0..900000
linger.ms: number 0..900000
message.send.max.retries: whole 0..2147483647
retries: whole 0..2147483647
retry.backoff.ms: whole 1..300000
retry.backoff.max.ms: whole 1..300000
queue.buffering.backpressure.threshold: whole 1..1000000
compression.codec: one of none|gzip|snappy|lz4|zstd|inherit
compression.type: one of none|gzip|snappy|lz4|zstd
batch.num.messages: whole 1..1000000
batch.size: whole 1..2147483647
delivery.report.only.error: boolean
sticky.partitioning.linger.ms: whole 0..900000
client.dns.lookup: one of use_all_dns_ips|resolve_canonical_bootstrap_servers_only
enable.metrics.push: boolean
request.required.acks: whole -1..1000
acks: whole -1..1000
request.timeout.ms: whole 1..900000
message.timeout.ms: whole 0..2147483647
delivery.timeout.ms: whole 0..2147483647
queuing.strategy: one of fifo|lifo
produce.offset.report: boolean
partitioner: text
compression.level: whole -1..12
auto.commit.enable: boolean
auto.offset.reset: one of smallest|earliest|beginning|largest|latest|end|error
offset.store.path: text
offset.store.sync.interval.ms: whole -1..86400000
consume.callback.max.messages: whole 0..1000000
`

/** What each setting takes, by name. */
export const RDKAFKA_SETTINGS: ReadonlyMap<string, string> = new Map(
  TABLE.trim()
    .split('\n')
    .map((line) => line.split(': ') as [string, string]),
)

/** Names of Java's clients that mean nothing here, and what to set instead. */
const JAVA_NAMES: Readonly<Record<string, string>> = {
  'sasl.jaas.config': 'set sasl.username and sasl.password',
  'sasl.login.callback.handler.class': 'set sasl.oauthbearer.method to oidc, and its client id, secret and endpoint',
  'ssl.truststore.location': 'set ssl.ca.location to a PEM file',
  'ssl.truststore.password': 'a PEM file in ssl.ca.location needs none',
  'ssl.truststore.type': 'ssl.ca.location takes PEM',
  'ssl.keystore.type': 'ssl.certificate.location and ssl.key.location take PEM, ssl.keystore.location takes PKCS#12',
}

/**
 * What is wrong with a setting, in words that never hold its value; undefined when nothing is.
 *
 * @example
 * settingProblem('socket.timeout.ms', 'abc') // 'must be a whole number from 10 to 300000'
 * settingProblem('socket.timeot.ms', 9000) // 'is no setting of librdkafka; did you mean socket.timeout.ms?'
 */
export function settingProblem(name: string, value: string | number | boolean): string | undefined {
  const takes = RDKAFKA_SETTINGS.get(name)
  if (takes === undefined) {
    const known = JAVA_NAMES[name]
    if (known !== undefined) return `is a setting of Java's clients: ${known}`
    const near = nearest(name, [...RDKAFKA_SETTINGS.keys()])
    return `is no setting of librdkafka${near === undefined ? '' : `; did you mean ${near}?`}`
  }
  if (isTaken(takes, String(value))) return undefined
  return `must be ${wordsOf(takes)}`
}

/** librdkafka reads names without regard to case, and 1, t, 0, f for true and false. */
function isTaken(takes: string, text: string): boolean {
  if (takes === 'text') return true
  if (takes === 'boolean') return /^(true|false|t|f|1|0)$/i.test(text)
  if (takes.startsWith('one of ')) return takes.slice(7).toLowerCase().split('|').includes(text.toLowerCase())
  const [least, greatest] = boundsOf(takes)
  const isNumber = takes.startsWith('whole') ? /^[+-]?\d+$/.test(text) : /^[+-]?\d+(\.\d+)?$/.test(text)
  return isNumber && Number(text) >= least && Number(text) <= greatest
}

function boundsOf(takes: string): [number, number] {
  const [least, greatest] = takes.slice(takes.indexOf(' ') + 1).split('..')
  return [Number(least), Number(greatest)]
}

function wordsOf(takes: string): string {
  if (takes === 'boolean') return 'true or false'
  if (takes.startsWith('one of ')) return takes.replaceAll('|', ', ')
  const [least, greatest] = boundsOf(takes)
  return `a ${takes.startsWith('whole') ? 'whole number' : 'number'} from ${least} to ${greatest}`
}
