// The configuration with the origin of each value: flag > environment > file > default. Main thread.
// Keeps SPEC: CONFIG-1 (one table of keys), CONFIG-2 (all problems at once), CONFIG-3 (secrets are never shown).
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { MillraceError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import { settingProblem } from '../core/rdkafka-settings.ts'
import { readConfigFile } from './config-file.ts'
import { envOf, expectedText, flagOf } from './config-names.ts'
import { checkAuth } from './config-push-auth.ts'
import { CONFIG_ROWS, type ConfigRow, type ConfigValues, isSecret, KAFKA_OWNED, KAFKA_PREFIX } from './config-table.ts'
import { parseValue, type Scalar, textsOf } from './config-value.ts'
import { fitMemory, MEMORY_PARTS, type MemoryLimit } from './memory-plan.ts'
import { hideSecrets, redacted } from './redact.ts'

export const CONFIG_FILE_DEFAULT = 'millrace.yaml'
/** Names the configuration file; the flag `--config` goes before it. */
export const CONFIG_FILE_ENV = 'MILLRACE_CONFIG'
/** Variables that are read where they are needed and are no keys: the file's name, trust in native parts, their place. */
const NO_KEYS: ReadonlySet<string> = new Set([CONFIG_FILE_ENV, 'MILLRACE_UWS_SHA256', 'MILLRACE_KAFKA_ADDON'])
const KAFKA_ENV_PREFIX = 'MILLRACE_KAFKA_'
const FILE_ENV_SUFFIX = '_FILE'

export type ConfigOrigin = 'flag' | 'environment' | 'file' | 'default'

/** One value as listed: secrets are masked. */
export interface ConfigEntry {
  key: string
  value: Scalar | undefined
  origin: ConfigOrigin
  /** `--http-port`, `MILLRACE_HTTP_PORT`, `millrace.yaml:3`, empty for a default, `memory` for one that was made to fit it. */
  where: string
}

export type Config = ConfigValues & {
  /** Settings handed to librdkafka, by its own names. */
  readonly kafka: Readonly<Record<string, Scalar>>
  /** Every value with its origin, secrets masked: for `/config` and logs. */
  describe(): ConfigEntry[]
}

export interface ConfigSources {
  /** By key (`http.port`); `kafka` holds `name=value` texts. Undefined values are as good as absent. */
  flags?: Record<string, Scalar | readonly string[] | undefined>
  env?: Record<string, string | undefined>
  /** Undefined: MILLRACE_CONFIG, then `millrace.yaml` in the working directory where it exists. */
  file?: string | undefined
  /** Memory to fit limits into where `limits.memoryBytesMax` is not set; undefined: nothing is fitted. */
  memoryBytes?: number | undefined
  /** What the memory is for; default: a job. */
  memoryOf?: 'job' | 'views' | undefined
}

interface Candidate {
  key: string
  written: Scalar | undefined
  origin: ConfigOrigin
  where: string
}

const ROW_BY_KEY: ReadonlyMap<string, ConfigRow> = new Map(CONFIG_ROWS.map((row) => [row.key, row]))
const ROW_BY_ENV: ReadonlyMap<string, ConfigRow> = new Map(CONFIG_ROWS.map((row) => [envOf(row.key), row]))

/**
 * Gathers the configuration. Throws MR3001 with every problem of every source at once: where it is, what was
 * expected, the nearest valid key.
 *
 * @example
 * const config = loadConfig({ flags: { 'http.port': 0 }, env: process.env })
 * config.http.port // 0
 * config.describe() // [{ key: 'http.port', value: 0, origin: 'flag', where: '--http-port' }, ...]
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  const problems: string[] = []
  const env = sources.env ?? {}
  // Weakest first: a later candidate for a key takes the place of an earlier one.
  const candidates = [
    ...defaultCandidates(),
    ...fileCandidates(sources.file ?? env[CONFIG_FILE_ENV], problems),
    ...envCandidates(env, problems),
    ...flagCandidates(sources.flags ?? {}, problems),
  ]
  // Before anything is judged: what is said of a secret must not show it, nor that of one that another source overrides.
  hideSecrets(candidates.filter(({ key }) => isSecret(key)).map(({ written }) => String(written ?? '')))
  const chosen = new Map<string, ConfigEntry>()
  for (const candidate of candidates) choose(candidate, chosen, problems)
  checkRelations(chosen, problems)
  checkOrigins(chosen.get('push.allowedOrigins')!, problems)
  checkAuth(chosen, problems)
  if (problems.length === 0) fitToMemory(chosen, sources, problems)
  if (problems.length > 0) throw new MillraceError('MR3001', { problems: `\n  - ${problems.join('\n  - ')}` })
  return configOf(chosen)
}

function defaultCandidates(): Candidate[] {
  return CONFIG_ROWS.map((row: ConfigRow) => ({
    key: row.key,
    written: row.default === 'cores - 1' ? Math.max(1, availableParallelism() - 1) : row.default,
    origin: 'default' as const,
    where: '',
  }))
}

function fileCandidates(named: string | undefined, problems: string[]): Candidate[] {
  const path = named ?? (existsSync(CONFIG_FILE_DEFAULT) ? CONFIG_FILE_DEFAULT : undefined)
  if (path === undefined) return []
  const file = readConfigFile(path)
  problems.push(...file.problems)
  const candidates: Candidate[] = []
  for (const { key, value, where } of file.entries) {
    if (isKnown(key)) candidates.push({ key, written: value, origin: 'file', where })
    else problems.push(`${where}: there is no key ${key}${suggestion(key, ROW_BY_KEY.keys())}`)
  }
  return candidates
}

function envCandidates(env: Record<string, string | undefined>, problems: string[]): Candidate[] {
  const candidates: Candidate[] = []
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !name.startsWith('MILLRACE_') || NO_KEYS.has(name)) continue
    if (isServiceLink(name, text)) continue
    const isFile = name.endsWith(FILE_ENV_SUFFIX)
    const plainName = isFile ? name.slice(0, -FILE_ENV_SUFFIX.length) : name
    const key = keyOfEnv(plainName)
    if (key === undefined) {
      problems.push(`environment ${name}: there is no such setting${suggestion(name, ROW_BY_ENV.keys())}`)
    } else if (isFile && env[plainName] !== undefined) {
      problems.push(`environment ${name}: ${plainName} is set too; set one of them`)
    } else {
      const written = isFile ? readSecretFile(name, text, problems) : text
      if (written !== undefined) candidates.push({ key, written, origin: 'environment', where: name })
    }
  }
  return candidates
}

/** Kubernetes sets variables such as MILLRACE_PORT=tcp://... for a service that is called millrace. */
function isServiceLink(name: string, text: string): boolean {
  return /_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)/.test(name) || /^(tcp|udp|sctp):\/\/\S+$/.test(text)
}

function keyOfEnv(name: string): string | undefined {
  if (!name.startsWith(KAFKA_ENV_PREFIX)) return ROW_BY_ENV.get(name)?.key
  const setting = name.slice(KAFKA_ENV_PREFIX.length).toLowerCase().replaceAll('_', '.')
  return setting === '' ? undefined : KAFKA_PREFIX + setting
}

/** The content of a `*_FILE` variable's file without its last line end. */
function readSecretFile(name: string, path: string, problems: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    problems.push(`environment ${name}: the file cannot be read (${(error as Error).message})`)
    return undefined
  }
}

function flagCandidates(flags: NonNullable<ConfigSources['flags']>, problems: string[]): Candidate[] {
  const candidates: Candidate[] = []
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined) continue
    if (key === 'kafka') candidates.push(...kafkaFlags([value].flat() as string[], problems))
    else if (ROW_BY_KEY.has(key)) candidates.push({ key, written: value as Scalar, origin: 'flag', where: flagOf(key) })
    else problems.push(`flag ${flagOf(key)}: there is no such setting${suggestion(key, ROW_BY_KEY.keys())}`)
  }
  return candidates
}

function kafkaFlags(texts: readonly string[], problems: string[]): Candidate[] {
  const candidates: Candidate[] = []
  for (const text of texts) {
    const equals = String(text).indexOf('=')
    // The text is not repeated in the problem: what was meant as the value may be a secret.
    if (equals < 1) problems.push('flag --kafka: expected name=value with a name of librdkafka')
    else
      candidates.push({
        key: KAFKA_PREFIX + text.slice(0, equals),
        written: text.slice(equals + 1),
        origin: 'flag',
        where: '--kafka',
      })
  }
  return candidates
}

function isKnown(key: string): boolean {
  return ROW_BY_KEY.has(key) || (key.startsWith(KAFKA_PREFIX) && key.length > KAFKA_PREFIX.length)
}

/** Checks a candidate and lets it take its key's place. */
function choose(candidate: Candidate, chosen: Map<string, ConfigEntry>, problems: string[]): void {
  const { key, written, origin, where } = candidate
  const row = ROW_BY_KEY.get(key)
  const place = origin === 'file' ? where : `${origin} ${where}`
  if (row === undefined) {
    const setting = key.slice(KAFKA_PREFIX.length)
    const owned = KAFKA_OWNED[setting]
    // The problem says what was expected, never what was written: that may be a secret under a wrong name.
    const problem = written === undefined ? undefined : settingProblem(setting, written)
    if (owned !== undefined) problems.push(`${place}: kafka.${setting} cannot be set: ${owned}`)
    else if (written === undefined) problems.push(`${place}: kafka.${setting} has no value`)
    else if (problem !== undefined) problems.push(`${place}: kafka.${setting} ${problem}`)
    else chosen.set(key, { key, value: written, origin, where })
    return
  }
  const value = origin === 'default' ? written : parseValue(row, written)
  if (value === undefined && origin !== 'default') {
    problems.push(`${place}: ${key} must be ${expectedText(row)}, not ${JSON.stringify(written) ?? 'empty'}`)
    return
  }
  chosen.set(key, { key, value, origin, where })
}

/** Relations between limits: the first must not be over the second. */
const NOT_OVER = [
  ['commit.minMs', 'commit.maxMs'],
  ['commit.minMs', 'commit.catchUpMs'],
  ['commit.maxMs', 'push.provisionalMsMax'],
  ['limits.valueBytesMax', 'limits.pollBytesMax'],
  ['limits.pollBytesMax', 'limits.laneBytesMax'],
] as const

function checkRelations(chosen: ReadonlyMap<string, ConfigEntry>, problems: string[]): void {
  for (const [low, high] of NOT_OVER) {
    const lowEntry = chosen.get(low)!
    const highEntry = chosen.get(high)!
    if (Number(lowEntry.value) <= Number(highEntry.value)) continue
    const shown = (entry: ConfigEntry) => `${entry.key} ${entry.value} (${entry.where || entry.origin})`
    problems.push(`${shown(lowEntry)} must not be over ${shown(highEntry)}`)
  }
}

/** What librdkafka's queues have without a setting (src/kafka/rdkafka/settings.ts; a test holds them equal), in KiB. */
const KAFKA_QUEUES: Readonly<Record<string, number>> = {
  'kafka.queue.buffering.max.kbytes': 65_536,
  'kafka.queued.max.messages.kbytes': 16_384,
}

/** Puts smaller limits and fewer lanes in the place of defaults that do not fit the memory. */
function fitToMemory(chosen: Map<string, ConfigEntry>, sources: ConfigSources, problems: string[]): void {
  const { memoryBytes: availableBytes, memoryOf = 'job' } = sources
  const memoryBytes = (chosen.get('limits.memoryBytesMax')!.value ?? availableBytes) as number | undefined
  if (memoryBytes === undefined || availableBytes === undefined) return
  const lanes = chosen.get('lanes')!
  const isJob = memoryOf === 'job'
  const parts = isJob ? MEMORY_PARTS : MEMORY_PARTS.filter(({ isOfViews }) => isOfViews)
  const fit = fitMemory(
    {
      lanes: isJob ? Number(lanes.value) : 0,
      areLanesSet: lanes.origin !== 'default',
      // Those that fetch, the member of the group, the reader of the views.
      fetchers: isJob ? Number(chosen.get('fetchClients')!.value) + 2 : 1,
      limits: new Map(parts.map(({ key }) => [key, memoryLimit(key, chosen)])),
    },
    memoryBytes,
  )
  if (typeof fit === 'string') {
    problems.push(fit)
    return
  }
  const put = (key: string, value: number) => chosen.set(key, { key, value, origin: 'default', where: 'memory' })
  if (isJob && fit.lanes !== lanes.value) put('lanes', fit.lanes)
  for (const [key, bytes] of fit.shrunk) put(key, key in KAFKA_QUEUES ? Math.floor(bytes / 1024) : bytes)
}

function memoryLimit(key: string, chosen: ReadonlyMap<string, ConfigEntry>): MemoryLimit {
  const entry = chosen.get(key)
  const unit = key in KAFKA_QUEUES ? 1024 : 1
  const bytes = unit * Number(entry?.value ?? KAFKA_QUEUES[key])
  return { bytes, isSet: entry !== undefined && entry.origin !== 'default' }
}

/** The origins of a list as a browser sends them, or `*`. */
export function originsOf(list: string | undefined): string[] {
  return textsOf(list)
}

function checkOrigins(entry: ConfigEntry, problems: string[]): void {
  for (const origin of originsOf(entry.value as string | undefined)) {
    if (origin === '*' || (URL.canParse(origin) && new URL(origin).origin === origin)) continue
    const expected = 'an origin such as https://desk.example, without a path, or *'
    problems.push(`${entry.where || entry.origin}: ${entry.key}: ${JSON.stringify(origin)} is not ${expected}`)
  }
}

function suggestion(name: string, known: Iterable<string>): string {
  const names = [...known]
  const bySameEnd = names.find((candidate) => candidate.endsWith(`.${name}`))
  const near = bySameEnd ?? nearest(name, names)
  return near === undefined ? '' : `; did you mean ${near}?`
}

function configOf(chosen: ReadonlyMap<string, ConfigEntry>): Config {
  const nested: Record<string, unknown> = {}
  const kafka: Record<string, Scalar> = {}
  for (const { key, value } of chosen.values()) {
    const dot = key.indexOf('.')
    if (key.startsWith(KAFKA_PREFIX)) kafka[key.slice(KAFKA_PREFIX.length)] = value!
    else if (dot < 0) nested[key] = value
    else {
      nested[key.slice(0, dot)] ??= {}
      const section = nested[key.slice(0, dot)] as Record<string, unknown>
      section[key.slice(dot + 1)] = value
    }
  }
  const describe = () => [...chosen.values()].map((entry) => ({ ...entry, value: shownValue(entry) }))
  return { ...nested, kafka, describe } as Config
}

function shownValue({ key, value }: ConfigEntry): Scalar | undefined {
  if (isSecret(key)) return '***'
  return typeof value === 'string' ? redacted(value) : value
}
