// The one place that loads uWebSockets.js: an official install first, then the copies that package.json names for this
// Node; what is loaded is compared with known SHA-256 sums. Main thread (or a worker: one event loop each).
// Keeps SPEC: PUSH-6 (only known native code is loaded, and a failure says why and what to do).

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { MillraceError } from '../core/errors.ts'

/** What of uWebSockets.js is used here; it ships its own types, the copies on npm do not. */
export interface Uws {
  App(): UwsApp
  us_socket_local_port(socket: ListenSocket): number
  us_listen_socket_close(socket: ListenSocket): void
  LIBUS_LISTEN_EXCLUSIVE_PORT: number
}
export type ListenSocket = object

export interface UwsApp {
  get(pattern: string, handler: (res: UwsResponse, req: UwsRequest) => void): UwsApp
  options(pattern: string, handler: (res: UwsResponse, req: UwsRequest) => void): UwsApp
  any(pattern: string, handler: (res: UwsResponse, req: UwsRequest) => void): UwsApp
  ws<Data>(pattern: string, behavior: UwsBehavior<Data>): UwsApp
  listen(host: string, port: number, options: number, done: (socket: ListenSocket | false | null) => void): UwsApp
  /** Closes listen sockets and every connection. */
  close(): UwsApp
}

export interface UwsBehavior<Data> {
  maxPayloadLength: number
  maxBackpressure: number
  /** Seconds; 0 or 8 to 960, anything else ends the process. */
  idleTimeout: number
  sendPingsAutomatically: boolean
  upgrade(res: UwsResponse, req: UwsRequest, context: object): void
  open(socket: UwsSocket<Data>): void
  message(socket: UwsSocket<Data>, message: ArrayBuffer, isBinary: boolean): void
  drain(socket: UwsSocket<Data>): void
  close(socket: UwsSocket<Data>, code: number, message: ArrayBuffer): void
}

/** After `close` was called back, every call but getUserData throws. */
export interface UwsSocket<Data> {
  getUserData(): Data
  /** 1: sent, 0: buffered, 2: dropped. */
  send(message: string | Uint8Array, isBinary?: boolean): number
  /** Text, as bytes of ASCII. */
  getRemoteAddressAsText(): ArrayBuffer
  getBufferedAmount(): number
  end(code: number, message: string): void
  close(): void
}

/** Only valid until the first await of its handler. */
export interface UwsRequest {
  getUrl(): string
  getQuery(): string
  /** Every header, in the order in which they came; names in small letters. */
  forEach(run: (name: string, value: string) => void): void
  getParameter(index: number): string | undefined
}

export interface UwsResponse {
  writeStatus(status: string): UwsResponse
  writeHeader(name: string, value: string): UwsResponse
  /** False: the rest is buffered (without limit); wait for onWritable. */
  write(chunk: string | Uint8Array): boolean
  end(body?: string | Uint8Array, closeConnection?: boolean): UwsResponse
  close(): UwsResponse
  getRemoteAddressAsText(): ArrayBuffer
  cork(run: () => void): UwsResponse
  onAborted(run: () => void): UwsResponse
  onWritable(run: (offset: number) => boolean): UwsResponse
  upgrade<Data>(data: Data, key: string, protocol: string, extensions: string, context: object): void
}

/** Of the other end of a connection, as text. */
export function addressOf(end: Pick<UwsResponse, 'getRemoteAddressAsText'>): string {
  return Buffer.from(end.getRemoteAddressAsText()).toString()
}

export interface LoadedUws {
  uws: Uws
  packageName: string
  version: string
  /** Absolute path of the native file. */
  file: string
  sha256: string
}

interface KnownCopy {
  /** The name in package.json's optionalDependencies. */
  alias: string
  packageName: string
  version: string
  glibcMin: string
  sha256: string
}

/** By Node major version. */
const KNOWN_COPIES: Record<number, KnownCopy> = {
  20: {
    alias: 'uWebSockets.js',
    packageName: '@uwsjs/linux-x64-20',
    version: '20.51.4',
    glibcMin: '2.27',
    sha256: '4d482084b665c225892917ee0e9b9572d89eaa6f3dc200ff5e536293d3456c89',
  },
  22: {
    alias: 'uWebSockets.js-22',
    packageName: '@uwsjs/linux-x64-22',
    version: '20.51.4',
    glibcMin: '2.27',
    sha256: 'f687e7c3666b5cca9d355184bbf07bb0550f5ba0d3ffd453248ccfec552dde6c',
  },
  24: {
    alias: 'uWebSockets.js-24',
    packageName: '@uwsjs/linux-x64-24',
    version: '20.69.0',
    glibcMin: '2.38',
    sha256: '177efdc682425d754474bd30f9586c487fa6694f790f3406a23885d0e61c07a0',
  },
}

const OFFICIAL_NAME = 'uWebSockets.js'
/** SHA-256 of an official binary that the operator vouches for: official builds are not in the table. */
const TRUST_VARIABLE = 'MILLRACE_UWS_SHA256'

/** Bytes of a request's head; a longer one is answered with 431. Without it they are 4,096, and many tokens are longer. */
const HEAD_VARIABLE = 'UWS_HTTP_MAX_HEADERS_SIZE'
const HEAD_BYTES_MAX = 16_384

let loaded: LoadedUws | undefined

/** Where to look and whom to trust; the defaults are this process's. */
export interface UwsSearch {
  /** Resolves and loads packages. */
  require: NodeJS.Require
  nodeMajor: number
  trustedSha256: string | undefined
}

/**
 * Loads uWebSockets.js, once a process. Throws MR3005 with the reason of every attempt.
 *
 * @example
 * const { uws, file } = loadUws()
 * const app = uws.App()
 */
export function loadUws(): LoadedUws {
  // uWebSockets reads it once, when it is loaded.
  process.env[HEAD_VARIABLE] ??= String(HEAD_BYTES_MAX)
  loaded ??= findUws({
    require: createRequire(import.meta.url),
    nodeMajor: Number(process.versions.node.split('.')[0]),
    trustedSha256: process.env[TRUST_VARIABLE],
  })
  return loaded
}

/** The search itself, without memory. */
export function findUws(search: UwsSearch): LoadedUws {
  const reasons: string[] = []
  for (const attempt of [loadOfficial, loadCopy]) {
    const result = attempt(search)
    if (typeof result !== 'string') return result
    reasons.push(result)
  }
  throw new MillraceError('MR3005', {
    part: OFFICIAL_NAME,
    reason: `${reasons.join('; ')} (${platformText()})`,
    remedy: remedyText(search.nodeMajor),
  })
}

function loadOfficial(search: UwsSearch): LoadedUws | string {
  const folder = packageFolder(search.require, OFFICIAL_NAME)
  if (folder === undefined) return 'official: not installed'
  const { name, version } = manifestOf(folder)
  if (name !== OFFICIAL_NAME) return 'official: not installed'
  const file = join(folder, `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`)
  if (!existsSync(file)) return `official ${version}: it has no binary for this platform and Node`
  const sums = search.trustedSha256 === undefined ? [] : [search.trustedSha256]
  return loadFile(search.require, file, { packageName: OFFICIAL_NAME, version }, sums)
}

function loadCopy(search: UwsSearch): LoadedUws | string {
  const known = KNOWN_COPIES[search.nodeMajor]
  if (known === undefined) return `npm copy: none is known for Node ${search.nodeMajor}`
  const folder = packageFolder(search.require, known.alias)
  if (folder === undefined) return `npm copy: ${known.packageName}@${known.version} is not installed`
  return loadFile(search.require, join(folder, 'uws.node'), known, [known.sha256])
}

function loadFile(
  require: NodeJS.Require,
  file: string,
  { packageName, version }: { packageName: string; version: string },
  sums: readonly string[],
): LoadedUws | string {
  try {
    const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex')
    if (!sums.includes(sha256)) return `${packageName}@${version}: SHA-256 ${sha256} of ${file} is not known`
    return { uws: require(file) as Uws, packageName, version, file, sha256 }
  } catch (error) {
    return `${packageName}@${version}: ${(error as Error).message}`
  }
}

function packageFolder(require: NodeJS.Require, name: string): string | undefined {
  const folders = (require.resolve.paths(name) ?? []).map((path) => join(path, name))
  return folders.find((folder) => existsSync(join(folder, 'package.json')))
}

function manifestOf(folder: string): { name: string; version: string } {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string; version: string }
}

function platformText(): string {
  return `${process.platform}-${process.arch}, Node ${process.versions.node}, glibc ${glibcVersion() ?? 'none'}`
}

function glibcVersion(): string | undefined {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  return report?.header?.glibcVersionRuntime
}

function remedyText(nodeMajor: number): string {
  const known = KNOWN_COPIES[nodeMajor]
  const copy =
    known === undefined
      ? `Run Node ${Object.keys(KNOWN_COPIES).join(', ')} on linux-x64`
      : `Install with optional dependencies on linux-x64 with glibc ${known.glibcMin} or newer`
  return `${copy}, or install the official uWebSockets.js and set ${TRUST_VARIABLE} to the SHA-256 of its binary.`
}
