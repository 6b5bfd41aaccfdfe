// The files of the page that the push server has at `/`: those of a job's own page, or of the page that Millrace has. Each has its
// hash as ETag, a policy that lets nothing in from elsewhere, and a compressed form. Main thread.
// Keeps SPEC: PUSH-37 (a page loads from its server alone, and is asked for anew only where it has changed).

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { MillraceError } from '../core/errors.ts'
import { packageRoot } from '../ops/package-root.ts'
import { type HttpReply, isKnown } from './http-reply.ts'
import type { HttpRequest } from './http-request.ts'

/** The files of a page by the path that a browser asks for; `/` is its index.html. */
export type Page = ReadonlyMap<string, Asset>

export interface Asset {
  readonly contentType: string
  readonly body: Uint8Array
  /** Where it is smaller. */
  readonly gzip: Uint8Array | undefined
  /** Of the body. */
  readonly tag: string
}

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json; charset=utf-8',
  webmanifest: 'application/manifest+json; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  svg: 'image/svg+xml; charset=utf-8',
  png: 'image/png',
  jpg: 'image/jpeg',
  webp: 'image/webp',
  ico: 'image/x-icon',
  woff2: 'font/woff2',
}

/** Nothing from elsewhere, no scripts or styles inside of HTML, no page around it. */
const CONTENT_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Kept by browsers, and asked for each time: a page that has changed is there at the next look. */
const HEADERS = {
  'content-security-policy': CONTENT_POLICY,
  'cache-control': 'no-cache',
  'referrer-policy': 'no-referrer',
  vary: 'accept-encoding, origin',
}

const GZIP_BYTES_MIN = 1024

/** Undefined: files with such an ending are not served. */
export function contentTypeOf(file: string): string | undefined {
  return TYPES[file.slice(file.lastIndexOf('.') + 1)]
}

/** @example assetOf('main.js', Buffer.from('export {}')) */
export function assetOf(file: string, body: Uint8Array): Asset {
  const contentType = contentTypeOf(file)!
  const isText = contentType.includes('charset')
  const gzip = isText && body.length >= GZIP_BYTES_MIN ? gzipSync(body) : undefined
  const tag = createHash('sha256').update(body).digest('base64url').slice(0, 22)
  return { contentType, body, gzip: gzip !== undefined && gzip.length < body.length ? gzip : undefined, tag }
}

export function sendAsset(asset: Asset, reply: HttpReply, request: HttpRequest): void {
  Object.assign(reply.headers, HEADERS)
  if (isKnown(reply, request, asset.tag, asset.contentType)) return
  const isSmall = asset.gzip !== undefined && /\bgzip\b/.test(request.header('accept-encoding'))
  const headers = { etag: `"${asset.tag}"`, ...(isSmall ? { 'content-encoding': 'gzip' } : {}) }
  reply.send(200, asset.contentType, isSmall ? asset.gzip! : asset.body, headers)
}

const FILES = {
  '/': 'index.html',
  '/page/page.css': 'page.css',
  '/page/page.js': 'page.js',
  '/page/candles.js': 'candles.js',
}

/** The page for a job that has none of its own. Throws MR3005 when its files are not there. */
export function ownPage(): Page {
  const folder = join(packageRoot(), 'src', 'push', 'page')
  return new Map(Object.entries(FILES).map(([path, file]) => [path, assetOf(file, readAsset(join(folder, file)))]))
}

function readAsset(file: string): Uint8Array {
  try {
    return readFileSync(file)
  } catch (error) {
    const reason = (error as Error).message
    throw new MillraceError('MR3005', { part: file, reason, remedy: 'Install the package again.' }, { cause: error })
  }
}
