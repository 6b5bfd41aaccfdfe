// The libraries that librdkafka is built with: without a needed one it would be built all the same, but could not log in
// anywhere. Node built-ins only.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/**
 * @typedef {object} Library
 * @property {string} header
 * @property {string} debian its package in Debian
 * @property {boolean} isNeeded
 * @property {string} what for what
 */

/** @type {readonly Library[]} */
export const LIBRARIES = [
  { header: 'openssl/ssl.h', debian: 'libssl-dev', isNeeded: true, what: 'TLS and SASL' },
  { header: 'zlib.h', debian: 'zlib1g-dev', isNeeded: true, what: 'topics compressed with gzip' },
  { header: 'zstd.h', debian: 'libzstd-dev', isNeeded: false, what: 'topics compressed with zstd' },
]

const FOLDERS = ['/usr/include', '/usr/local/include', '/opt/homebrew/include']

/** Where headers usually lie: quick, and enough to see that something was installed since. */
export function hasHeader(header) {
  return FOLDERS.some((folder) => existsSync(join(folder, header)))
}

/** Asks the compiler, which knows more places. */
function compilerFinds(header) {
  const args = ['-E', '-x', 'c', '-']
  return spawnSync('g++', args, { input: `#include <${header}>\n`, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0
}

/**
 * @param {(header: string) => boolean} [isThere]
 * @returns {Library[]}
 */
export function missingLibraries(isThere = (header) => hasHeader(header) || compilerFinds(header)) {
  return LIBRARIES.filter(({ header }) => !isThere(header))
}

/** The line that mends it, on Debian and its like. */
export function aptLine(libraries) {
  return `apt-get install -y ${libraries.map(({ debian }) => debian).join(' ')}`
}

/** True when librdkafka could have zstd here. */
export function hasZstd() {
  return hasHeader('zstd.h')
}
