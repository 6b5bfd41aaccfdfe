// The one table of errors: code, what the supervisor does, text, remedy. Runs on every thread; pure.
// Keeps SPEC: ERR-1 (table, docs and code are equal), ERR-2 (nobody matches on messages).

import { ACCESS_ERRORS } from './access-errors.ts'
import { COPY_ERRORS } from './copy-errors.ts'
import type { ErrorRow } from './error-row.ts'
import { RECORD_ERRORS } from './record-errors.ts'

export type { ErrorAction } from './error-row.ts'

/**
 * MR1xxx the job and its plan · MR2xxx one record (dead letters) · MR3xxx configuration and commands ·
 * MR4xxx Kafka · MR5xxx state · MR6xxx engine and lanes · MR7xxx push
 */
export const ERRORS = {
  MR1001: {
    action: 'stop',
    text: 'The job file {file} does not export a job as its default.',
    remedy: 'End the file with `export default job(...)...`.',
  },
  MR1002: {
    action: 'stop',
    text: 'The job {job} is not valid: {problems}',
    remedy: 'Mend each point; `millrace plan FILE` checks without running.',
  },
  MR1004: {
    action: 'stop',
    text: 'The operator {operator} changed its meaning: stored as {stored}, now {planned}.',
    remedy:
      'Give the operator a new name, start the job under a new name, or drop its state with `millrace reset JOB --to earliest`.',
  },
  MR1005: {
    action: 'stop',
    text: 'The job file {file} failed to load: {reason}',
    remedy: 'Mend what the reason names; a place in it is one of your own file.',
  },
  MR1006: {
    action: 'stop',
    text: 'The job {job} read {stored} so far, now its source is {topic}: its offsets and its state are of the other topic.',
    remedy: 'Start it under a new job name, or drop its state with `millrace reset JOB --to earliest`.',
  },
  ...RECORD_ERRORS,
  MR3001: {
    action: 'report',
    text: 'The configuration is not valid: {problems}',
    remedy: 'Mend each point; each names its source, what was expected and the nearest valid key.',
  },
  MR3002: {
    action: 'report',
    text: 'The command line is not valid: {reason}',
    remedy: 'See `millrace --help`.',
  },
  MR3003: {
    action: 'report',
    text: 'There is no error code {code}.',
    remedy: 'See docs/reference/errors.md for all codes.',
  },
  MR3004: {
    action: 'report',
    text: 'The port {port} of the HTTP server is not free: {reason}',
    remedy: 'Choose another with `--http-port`, or 0 for any free one.',
  },
  MR3005: {
    action: 'report',
    text: 'The native part {part} could not be loaded: {reason}',
    remedy: '{remedy}',
  },
  MR3006: {
    action: 'report',
    text: 'No answer from {url}: {reason}',
    remedy: 'Is the job running, with this `http.host` and `http.port`? Set both as it has them.',
  },
  MR3007: {
    action: 'report',
    text: 'Line {line} of the input is not valid: {reason}',
    remedy: 'See the guide to testing (docs/guide/testing.md) for the lines that there are.',
  },
  MR4001: {
    action: 'stop',
    text: 'No broker of {brokers} answered within {waitedMs} ms; last seen: {reason}.',
    remedy:
      'Check `--brokers` / MILLRACE_BROKERS, that the listeners can be reached from here, and that `kafka.security.protocol` is theirs.',
  },
  MR4002: {
    action: 'stop',
    text: 'There is no topic {topic}.',
    remedy: 'Create it. `--create-topics` makes missing sinks and internal topics, never the source.',
  },
  MR4003: {
    action: 'stop',
    text: 'The topic {topic} has {actual} partitions, {expected} are needed.',
    remedy: 'Internal topics must have as many partitions as the source; delete the topic or use a new job name.',
  },
  MR4004: {
    action: 'rebuild',
    text: 'The transaction of epoch {epoch} failed: {reason}',
    remedy: 'The epoch is aborted and done again from the last commit; look at the brokers if it repeats.',
  },
  MR4005: {
    action: 'stop',
    text: 'Another process with the same instance id {instanceId} has taken over (fenced).',
    remedy: 'Give every running process its own instance id.',
  },
  MR4007: {
    action: 'stop',
    text: 'Kafka refused for good: {reason}',
    remedy: 'Read the reason; a configuration or an authorisation is wrong.',
  },
  MR4008: {
    action: 'stop',
    text: 'The record for {topic} ({bytes} bytes) is over its max.message.bytes {limit}.',
    remedy: 'Raise max.message.bytes of the topic: a final or state row cannot be dropped.',
  },
  MR4009: {
    action: 'stop',
    text: 'Retention of sink topic {topic} ({retentionMs} ms) would delete rows of event time {eventTimeMs} at once.',
    remedy: 'Set retention.ms of the topic to -1, or `resultTime` and retention to fit the data.',
  },
  MR4010: {
    action: 'stop',
    text: 'Topic {topic}, partition {partition}: the next record to read is {offset}, but retention has deleted all before {low}.',
    remedy:
      'The records between are lost to this job; raise the retention. `millrace reset JOB --to earliest` begins anew at what is left.',
  },
  MR4011: {
    action: 'rebuild',
    text: 'The group has given the partitions of this process away.',
    remedy: 'It joins again by itself; look for long pauses of the process if it repeats.',
  },
  MR4012: {
    action: 'stop',
    text: 'Topic {topic}, partition {partition}: the next record to read is {offset}, but the partition ends at {high}: it was made anew or cut.',
    remedy: 'Bring the topic back, or begin anew with `millrace reset JOB --to earliest`.',
  },
  MR4013: {
    action: 'rebuild',
    text: 'The changelog of task {task} could be read to {offset} only, not to its end {end}: a transaction there stays open.',
    remedy: 'It is tried again; look for a process that hangs in a transaction with this changelog.',
  },
  MR4014: {
    action: 'stop',
    text: '{count} Kafka clients hang in a call and had to be abandoned.',
    remedy: 'Start the process again; look at the brokers and the network if it repeats.',
  },
  MR4015: {
    action: 'stop',
    text: 'The topic {topic} refused a row for good: {reason}',
    remedy:
      'Compare the rows with max.message.bytes, message.timestamp.after.max.ms and message.timestamp.before.max.ms of the topic; nothing is lost, the next start does the epoch again.',
  },
  MR4016: {
    action: 'stop',
    text: 'The topic {topic} refuses rows of event time {eventTimeMs}: they are older than its message.timestamp.before.max.ms of {limitMs} ms.',
    remedy: 'Set message.timestamp.before.max.ms of the topic to 9223372036854775807, or as far back as the data goes.',
  },
  MR4017: {
    action: 'rebuild',
    text: 'The transaction of {instanceId} was ended by another instance, or by its time-out: this process was silent for too long.',
    remedy: 'It goes on by itself; look for long pauses of the process or the network if it repeats.',
  },
  MR4021: {
    action: 'report',
    text: 'The job {job} runs: its group has the members {members}.',
    remedy:
      'Stop every instance (SIGTERM) and try again. A member that was stopped leaves by itself within session.timeout.ms (10 s); `--wait` says how long it is waited for.',
  },
  MR4022: {
    action: 'report',
    text: 'The reset of {job} failed: {reason}',
    remedy: 'All of a reset takes effect or none of it: look with `--dry-run` where the job stands, and run it again.',
  },
  MR4031: {
    action: 'stop',
    text: 'Kafka at {brokers} does not accept the credentials: {reason}',
    remedy:
      'Check `kafka.sasl.mechanism`, `kafka.sasl.username` and the password (MILLRACE_KAFKA_SASL_PASSWORD or ..._FILE); for OAUTHBEARER the issuer, audience and scope that the brokers expect.',
  },
  MR4032: {
    action: 'stop',
    text: 'There is no trusted TLS connection to {brokers}: {reason}',
    remedy: '{remedy}',
  },
  MR4033: {
    action: 'stop',
    text: 'The token endpoint {url} gave no token: {reason}',
    remedy:
      'Check `kafka.sasl.oauthbearer.token.endpoint.url`, `.client.id`, `.client.secret` and `.scope`, and that the endpoint can be reached from here.',
  },
  MR4034: {
    action: 'stop',
    text: 'Kafka refuses what this principal lacks the right to: {rights}.',
    remedy: 'Grant what is missing; `millrace plan JOB --acls` prints all rights of the job as commands.',
  },
  MR4035: {
    action: 'stop',
    text: 'The topic {topic} holds batches compressed with {codec}, which this build of librdkafka cannot read.',
    remedy:
      'Install libzstd-dev (Debian: apt-get install -y libzstd-dev) and run `node scripts/setup.mjs` again, or have the topic written with lz4.',
  },
  MR4036: {
    action: 'stop',
    text: 'The topics {topics} meet in one operator and have {counts} partitions: records of a key would not meet.',
    remedy:
      'Give the topics the same number of partitions, or let one of the streams move through a topic of the job: `.map((record) => record).keyBy(field)` before the operator.',
  },
  MR4037: {
    action: 'rebuild',
    text: 'The topics {topics} meet in one operator, and their partition {partition} is not assigned to one instance.',
    remedy:
      'Keep `partition.assignment.strategy` at `range`, which gives equal partitions of several topics to one member.',
  },
  MR4038: {
    action: 'stop',
    text: 'The global table {topic} has {bytes} bytes, over the limit of {limit} that a lane has for state.',
    remedy:
      'Raise `limits.stateMemoryBytesMax`, keep less of it with filter and map, or join with table(...), which is split by key.',
  },
  MR5001: {
    action: 'stop',
    text: 'The state folder {folder} is in use by process {pid}.',
    remedy: 'One process a folder: stop the other one or give this one its own `--state-dir`.',
  },
  MR5002: {
    action: 'rebuild',
    text: 'The state of task {task} is damaged ({reason}); it is wiped and restored from the changelog.',
    remedy: 'Check the disk if it repeats.',
  },
  MR5003: {
    action: 'rebuild',
    text: 'Writing the state of task {task} failed: {reason}',
    remedy: 'Free disk space or check the disk; the task is restored from the changelog.',
  },
  MR5004: {
    action: 'stop',
    text: 'The committed offset {committed} of task {task} is ahead of its last changelog marker {marker}, and the changelog ends there.',
    remedy:
      'The changelog topic lost rows or is not the one of this job; restore it, or begin anew with `millrace reset JOB --to earliest`.',
  },
  MR5005: {
    action: 'stop',
    text: 'The state folder {folder} cannot be used: {reason}',
    remedy: 'Give a writable local folder with `--state-dir`; not on NFS.',
  },
  MR5006: {
    action: 'stop',
    text: 'The group has no offset of topic {topic}, partition {partition} any more, but the state of the job has records of it: reading it again would count them twice.',
    remedy:
      'Brokers forget the offsets of a group that is away for longer than offsets.retention.minutes (7 days). Begin anew with `millrace reset JOB --to earliest`, or set the offset of the group by hand if you know it.',
  },
  MR6001: {
    action: 'stop',
    text: '{dead} of the last {records} records were dead (limit {limit}); the last was {code}: {reason}',
    remedy: 'Mend the cause; the records are in the dead-letter topic. `limits.deadShareMax` sets the limit.',
  },
  MR6002: {
    action: 'stop',
    text: 'Lane {lane} failed and {attempts} new attempts did not help: {reason}',
    remedy: 'Look at the reason; raise the memory limit if the lane ran out of it.',
  },
  MR6003: {
    action: 'stop',
    text: 'The stop was not clean within {limitMs} ms: {waitingFor}',
    remedy: 'Nothing is lost; the next start recovers from the last commit.',
  },
  MR6004: {
    action: 'rebuild',
    text: 'Lane {lane} failed: {reason}',
    remedy: 'Its tasks are reopened from the last commit.',
  },
  MR6005: {
    action: 'stop',
    text: 'The counts of task {task} do not add up: in {in} + expanded {expanded} is not accepted {accepted} + late {late} + dead {dead} + filtered {filtered}.',
    remedy: 'This is a defect of Millrace: report it with the job file.',
  },
  MR6006: {
    action: 'report',
    text: 'The job under test did not get there within {limitMs} ms of its own time ({goal}): {states}',
    remedy:
      'This is a defect of Millrace or of a function that the job never comes back from: report it with the test.',
  },
  MR7001: {
    action: 'report',
    text: 'There is no view {view}.',
    remedy: 'The job serves: {views}.',
  },
  MR7002: {
    action: 'report',
    text: 'The client did not read fast enough: {bytes} bytes were waiting.',
    remedy: 'Connect again; the snapshot has the newest rows.',
  },
  MR7003: {
    action: 'report',
    text: 'The view {view} is over its limit of {limit} {unit}; it is not served any more.',
    remedy:
      'Raise `push.viewRowsMax` or `limits.viewBytesMax`, or make the view smaller: `keep` and a shorter `history` remove what is older.',
  },
  MR7004: {
    action: 'report',
    text: 'The view {view} cannot be read: {reason}',
    remedy: 'Look at the topic of the view; the push server reads it again when it is started anew.',
  },
  MR7005: {
    action: 'report',
    text: 'The push server cannot listen on {host}:{port}: {reason}',
    remedy: 'Choose another with `--push-port`, or 0 for any free one.',
  },
  MR7006: {
    action: 'report',
    text: 'The message of the client was not understood: {reason}',
    remedy: 'See docs/protocol.md for the messages.',
  },
  MR7007: {
    action: 'report',
    text: 'There are {limit} connections already, of {of}.',
    remedy: 'Connect again later, or raise `push.connectionsMax` or `push.connectionsPerAddressMax`.',
  },
  MR7008: {
    action: 'report',
    text: 'Requests from the origin {origin} to the host {host} are refused.',
    remedy: 'Add the origin to `push.allowedOrigins`.',
  },
  MR7009: {
    action: 'report',
    text: 'There is nothing at {path}.',
    remedy: 'See docs/protocol.md for the paths.',
  },
  MR7010: {
    action: 'report',
    text: 'The push server failed on a request: {reason}',
    remedy: 'This is a defect of Millrace: report it with the log.',
  },
  MR7011: {
    action: 'report',
    text: 'The client sent more than {limit} messages in a second.',
    remedy: 'Subscribe to several keys at once (`keys`) instead of to each alone.',
  },
  MR7012: {
    action: 'report',
    text: 'The connection has {limit} subscriptions already.',
    remedy: 'End some, or ask for several keys in one (`keys`).',
  },
  MR7013: {
    action: 'report',
    text: 'This server is not as far in the view {view} as the position to go on at.',
    remedy: 'Subscribe again: it may have caught up, or the connection may come to another server.',
  },
  MR7014: {
    action: 'report',
    text: 'The view {view} has no row of the key {key}.',
    remedy: 'Keys are compared exactly; `GET /views/{view}?prefix=` lists those that there are.',
  },
  MR7015: {
    action: 'report',
    text: 'The view {view} is still being read.',
    remedy: 'Ask again in a moment; `GET /views` says when it is ready.',
  },
  ...ACCESS_ERRORS,
  MR7026: {
    action: 'report',
    text: 'The view {view} has no history.',
    remedy: "Its newest rows can be had without `history`; a job keeps it with `toView(name, { history: '7d' })`.",
  },
  ...COPY_ERRORS,
  MR7041: {
    action: 'report',
    text: 'The client cannot connect: {reason}.',
    remedy:
      'Give `url` or `urls` of push servers that the page may use, and in Node 20 `WebSocket` of the package `ws`.',
  },
  MR7042: {
    action: 'report',
    text: 'The client has no token: {reason}.',
    remedy: 'It asks again before each try; look at what the `token` function of the client does.',
  },
  MR7043: {
    action: 'report',
    text: 'The server closed the connection with code {closeCode} and takes none like it.',
    remedy: 'docs/protocol.md has the codes; client and server may be of different versions.',
  },
  MR7044: {
    action: 'stop',
    text: 'The page {page} cannot be built: {reason}',
    remedy: 'Correct the file at that place; a page is bundled as TypeScript for browsers at the start of the job.',
  },
  MR7045: {
    action: 'stop',
    text: 'The page {page} cannot be served: {reason}.',
    remedy:
      'A page is a folder with an index.html, beside it main.ts (or what it needs, ready-made); `--push-page none` goes without.',
  },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS
