// The one table of configuration keys: type, default, range and reason of each. Main thread; pure data.
// Keeps SPEC: CONFIG-1 (this table, the flags, the environment and docs/reference/config.md are equal).

import { PUSH_ROWS } from './config-push.ts'

/**
 * - `ms`: milliseconds, or a duration such as `500ms`, `2s`, `1m`, `1h`
 * - `bytes`: bytes, or a size such as `64 kB`, `32 MB` (powers of 1,000) or `32 MiB` (powers of 1,024)
 */
export type ConfigType = 'string' | 'integer' | 'ms' | 'bytes' | 'share' | 'boolean' | 'choice'

export interface ConfigRow {
  /** Nested name, as in millrace.yaml. Flag and environment variable follow from it. */
  key: string
  type: ConfigType
  /** Undefined: no value. `cores - 1` is worked out at start. */
  default: string | number | boolean | undefined
  /** Least and greatest value of a number. */
  min?: number
  max?: number
  choices?: readonly string[]
  /** What it is for; for a limit, why it is there and what happens at it. */
  reason: string
}

const MIB = 1024 * 1024

export const CONFIG_ROWS = [
  {
    key: 'brokers',
    type: 'string',
    default: 'localhost:9092',
    reason: 'Kafka bootstrap servers, `host:port` separated by commas.',
  },
  {
    key: 'instanceId',
    type: 'string',
    default: undefined,
    reason:
      'Names this process among those of the job (`group.instance.id`, `transactional.id`). Without it one is made and kept in the state folder.',
  },
  {
    key: 'stateDir',
    type: 'string',
    default: '.millrace',
    reason: 'Local folder of the state (LMDB). One process a folder; never on NFS.',
  },
  {
    key: 'lanes',
    type: 'integer',
    default: 'cores - 1',
    min: 1,
    max: 256,
    reason: 'Worker threads; one core is left to the main thread and to Kafka.',
  },
  {
    key: 'fetchClients',
    type: 'integer',
    default: 2,
    min: 1,
    max: 16,
    reason:
      'Kafka clients that read the input. Each has one fetch a broker out at a time, so a second one is read while the first is unpacked; more help where brokers are far away.',
  },
  {
    key: 'createTopics',
    type: 'boolean',
    default: false,
    reason: 'Create missing sink and internal topics at start, with as many partitions as the source.',
  },
  {
    key: 'leaveOnStop',
    type: 'boolean',
    default: true,
    reason:
      'A clean stop leaves the group, so that other instances take over at once. `false` for a restart in place: the partitions wait for this instance, at most for its session (10 s); it takes the native addon.',
  },
  {
    key: 'http.host',
    type: 'string',
    default: '127.0.0.1',
    reason: 'Address of the admin server (health, metrics). Open it only to your own network.',
  },
  {
    key: 'http.port',
    type: 'integer',
    default: 8080,
    min: 0,
    max: 65_535,
    reason: 'Port of the admin server; 0 takes any free one.',
  },
  ...PUSH_ROWS,
  {
    key: 'commit.minMs',
    type: 'ms',
    default: 5,
    min: 1,
    max: 60_000,
    reason: 'Least time between two commits; each costs the brokers a marker a partition.',
  },
  {
    key: 'commit.maxMs',
    type: 'ms',
    default: 100,
    min: 1,
    max: 60_000,
    reason: 'Greatest time between two commits while there is something to commit.',
  },
  {
    key: 'commit.catchUpRecords',
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000_000,
    reason: 'With a greater lag than this, commits are `commit.catchUpMs` apart: fewer markers, more throughput.',
  },
  {
    key: 'commit.catchUpMs',
    type: 'ms',
    default: 250,
    min: 1,
    max: 60_000,
    reason: 'Time between two commits while a backlog is caught up with.',
  },
  {
    key: 'flush.everyMs',
    type: 'ms',
    default: 1000,
    min: 10,
    max: 600_000,
    reason: 'Committed state is written to LMDB this often; a crash replays what is not yet there.',
  },
  {
    key: 'repartition.trimEveryMs',
    type: 'ms',
    default: 30_000,
    min: 100,
    max: 86_400_000,
    reason: 'Records of the repartition topic that are behind the commit are deleted this often.',
  },
  {
    key: 'limits.laneBytesMax',
    type: 'bytes',
    default: 32 * MIB,
    min: 64 * 1024,
    max: 1024 * MIB,
    reason: 'Bytes on their way to one lane; at the limit its partitions are paused.',
  },
  {
    key: 'limits.pendingOutputBytesMax',
    type: 'bytes',
    default: 64 * MIB,
    min: 64 * 1024,
    max: 4096 * MIB,
    reason: 'Result bytes that wait for their transaction; at the limit the lanes get no more input.',
  },
  {
    key: 'limits.pollRecordsMax',
    type: 'integer',
    default: 20_000,
    min: 1,
    max: 1_000_000,
    reason: 'Records taken from Kafka in one call; bounds how long a frame holds a lane.',
  },
  {
    key: 'limits.pollBytesMax',
    type: 'bytes',
    default: 4 * MIB,
    min: 1024,
    max: 512 * MIB,
    reason: 'Bytes taken from Kafka in one call; bounds the size of a frame.',
  },
  {
    key: 'limits.deadShareMax',
    type: 'share',
    default: 0.2,
    min: 0,
    max: 1,
    reason:
      'The job stops when a greater share of the last `limits.deadWindow` records was dead, instead of draining the topic into the dead letters. 1 turns it off.',
  },
  {
    key: 'limits.deadWindow',
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 100_000_000,
    reason: 'Records that the share of dead ones is judged over.',
  },
  {
    key: 'limits.stopMs',
    type: 'ms',
    default: 10_000,
    min: 100,
    max: 600_000,
    reason: 'A clean stop takes at most this long, then the process ends; the next start recovers.',
  },
  {
    key: 'limits.connectMs',
    type: 'ms',
    default: 30_000,
    min: 100,
    max: 600_000,
    reason: 'How long the start waits for the first answer of a broker.',
  },
  {
    key: 'limits.callMs',
    type: 'ms',
    default: 10_000,
    min: 100,
    max: 600_000,
    reason: 'One call to Kafka; after it the outcome is unknown and is found out by a new producer.',
  },
  {
    key: 'limits.attemptsMax',
    type: 'integer',
    default: 5,
    min: 1,
    max: 1000,
    reason: 'New attempts in a row without a commit, after a failure of Kafka, state or a lane; then the job stops.',
  },
  {
    key: 'limits.backoffMaxMs',
    type: 'ms',
    default: 5_000,
    min: 20,
    max: 600_000,
    reason: 'The pause before a new attempt doubles from 20 ms up to this.',
  },
  {
    key: 'limits.stateMemoryBytesMax',
    type: 'bytes',
    default: 256 * MIB,
    min: MIB,
    max: 65_536 * MIB,
    reason: 'Memory of one lane for state; colder rows are read from LMDB.',
  },
  {
    key: 'limits.laneHeapBytesMax',
    type: 'bytes',
    default: 256 * MIB,
    min: 32 * MIB,
    max: 16_384 * MIB,
    reason:
      'Heap of one lane beside its state: code, decoded records, what functions of the job keep. A lane that needs more dies and is started again from the last commit.',
  },
  {
    key: 'limits.viewBytesMax',
    type: 'bytes',
    default: 512 * MIB,
    min: MIB,
    max: 65_536 * MIB,
    reason:
      'Rows of one view in the memory of this process (as UTF-16); a view that needs more is not served any more (MR7003), or with `push.dir` read from its copy.',
  },
  {
    key: 'limits.memoryBytesMax',
    type: 'bytes',
    default: undefined,
    min: 64 * MIB,
    max: 1_048_576 * MIB,
    reason:
      'Memory that `run` and `demo` plan with; without it the limit of the container, else the memory of the machine. Limits at their defaults are made smaller until all fits into 90 % of it; what cannot fit is refused.',
  },
  {
    key: 'limits.unflushedBytesMax',
    type: 'bytes',
    default: 16 * MIB,
    min: 64 * 1024,
    max: 1024 * MIB,
    reason: 'Committed state of a task that is not yet in LMDB; more forces a flush.',
  },
  {
    key: 'limits.valueBytesMax',
    type: 'bytes',
    default: MIB,
    min: 1,
    max: 256 * MIB,
    reason: 'A record with a larger value is dead: one record must not take the memory of a lane.',
  },
  {
    key: 'limits.keyBytesMax',
    type: 'bytes',
    default: 1024,
    min: 1,
    max: 1024,
    reason: 'A record with a larger key is dead: every store must be able to hold it.',
  },
  {
    key: 'limits.decodeDepthMax',
    type: 'integer',
    default: 32,
    min: 1,
    max: 1000,
    reason: 'A value nested deeper is dead: decoding it could exhaust the stack.',
  },
  {
    key: 'limits.decodeNodesMax',
    type: 'integer',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    reason: 'A value with more nodes is dead: 5 bytes can ask for 268 MB.',
  },
  {
    key: 'log.level',
    type: 'choice',
    default: 'info',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    reason: 'Least level that is logged.',
  },
  {
    key: 'log.format',
    type: 'choice',
    default: 'auto',
    choices: ['auto', 'json', 'pretty'],
    reason: '`auto`: pretty lines on a terminal, else one JSON object a line. Logs go to stderr.',
  },
] as const satisfies readonly ConfigRow[]

type Row = (typeof CONFIG_ROWS)[number]
export type ConfigKey = Row['key']

type ValueOf<R extends Row> = R extends { choices: readonly (infer Choice)[] }
  ? Choice
  : R extends { type: 'boolean' }
    ? boolean
    : R extends { type: 'string' }
      ? string | (R['default'] & undefined)
      : number | (R['default'] & undefined)

type Section = ConfigKey extends infer K ? (K extends `${infer S}.${string}` ? S : never) : never

/** The values by nested name, e.g. `config.http.port`; the types follow from the table. */
export type ConfigValues = {
  readonly [R in Row as R['key'] extends `${string}.${string}` ? never : R['key']]: ValueOf<R>
} & {
  readonly [S in Section]: {
    readonly [R in Row as R['key'] extends `${S}.${infer Name}` ? Name : never]: ValueOf<R>
  }
}

/** Prefix of librdkafka's own settings: `kafka.socket.timeout.ms`, `--kafka socket.timeout.ms=...`. */
export const KAFKA_PREFIX = 'kafka.'

/** librdkafka settings that cannot be passed through, and why. */
export const KAFKA_OWNED: Readonly<Record<string, string>> = {
  'bootstrap.servers': 'set `brokers`',
  'metadata.broker.list': 'set `brokers`',
  'isolation.level': 'exactly-once reads committed records only',
  'enable.auto.commit': 'offsets are committed in the transaction of their results',
  'auto.commit.enable': 'offsets are committed in the transaction of their results',
  'enable.auto.offset.store': 'offsets are committed in the transaction of their results',
  'enable.partition.eof': 'the ends of partitions are always reported',
  'enable.idempotence': 'exactly-once needs the idempotent producer',
  acks: 'the idempotent producer waits for all replicas',
  'request.required.acks': 'the idempotent producer waits for all replicas',
  'transactional.id': 'it follows from the job and `instanceId`, so that a stale process is fenced',
  'group.id': 'it is the name of the job',
  'group.instance.id': 'set `instanceId`',
  'group.protocol': 'the assignment of partitions needs the classic protocol',
  'partition.assignment.strategy': 'joins need `range`: equal partitions of their topics on one instance',
  partitioner: 'all records are spread by murmur2, as Java does, so that equal keys meet in one partition',
  'partitioner.consistent': 'all records are spread by murmur2, as Java does, so that equal keys meet in one partition',
  'delivery.report.only.error': 'only failed deliveries are reported',
  'plugin.library.paths': 'the addon is the plugin',
  'check.crcs': 'checksums are always verified',
}

/** Settings whose values are never shown. */
export function isSecret(key: string): boolean {
  if (/endpoint\.url$|client\.id$|allowQueryToken$/.test(key)) return false
  return /password|passphrase|secret|token|credential|\.pem$|oauthbearer\.config|jaas/i.test(key)
}
