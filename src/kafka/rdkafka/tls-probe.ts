// Why a TLS connection to a broker does not come about, told by Node's own TLS: librdkafka says `certificate verify failed`
// for an unknown authority and for another host name alike, and `transport failure` where the broker wants a certificate.
// Main thread; asked once, after librdkafka has failed. Decides by error codes (SPEC: ERR-2, SECURE-2).
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { PlainSettings } from './settings.ts'

const PROBE_LIMIT_MS = 5_000
/** The broker's answer to this comes after it has judged the client's certificate: ApiVersions, version 0. */
const API_VERSIONS = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])

export interface TlsTrouble {
  reason: string
  remedy: string
}

/** True when the settings ask for TLS. */
export function asksForTls(settings: PlainSettings): boolean {
  return /ssl$/i.test(String(settings['security.protocol'] ?? ''))
}

/**
 * Undefined when a broker of the list can be talked to in TLS with these settings, or when nothing can be said.
 *
 * @example
 * await tlsTrouble('10.0.0.1:9093', { 'security.protocol': 'ssl' })
 * // { reason: 'the certificate of 10.0.0.1 is for DNS:kafka, not for this name', remedy: ... }
 */
export async function tlsTrouble(brokers: string, settings: PlainSettings): Promise<TlsTrouble | undefined> {
  for (const { host, port } of addresses(brokers)) {
    const error = await probe(host, port, secureOptions(settings))
    const trouble = error === undefined ? undefined : troubleOf(error, host)
    if (trouble !== undefined) return trouble
  }
  return undefined
}

/** True when a listener of the list speaks TLS, whoever has signed its certificate. */
export async function speaksTls(brokers: string): Promise<boolean> {
  const answers = addresses(brokers).map(async ({ host, port }) => {
    const socket = connect({ host, port, rejectUnauthorized: false, timeout: PROBE_LIMIT_MS })
    try {
      return await new Promise<boolean>((resolve) => {
        socket.once('secureConnect', () => resolve(true))
        for (const event of ['error', 'timeout', 'close']) socket.once(event, () => resolve(false))
      })
    } finally {
      socket.destroy()
    }
  })
  return (await Promise.all(answers)).includes(true)
}

function addresses(brokers: string): { host: string; port: number }[] {
  return brokers.split(',').flatMap((address) => {
    const match = /^(?:\w+:\/\/)?\[?([^\]]+?)\]?:(\d+)$/.exec(address.trim())
    return match === null ? [] : [{ host: match[1]!, port: Number(match[2]) }]
  })
}

function secureOptions(settings: PlainSettings): ConnectionOptions {
  const fileOf = (location: string, pem: string) => {
    const path = settings[location]
    if (typeof path === 'string' && path !== 'probe') return readFileSync(path)
    return settings[pem] === undefined ? undefined : String(settings[pem])
  }
  const given = {
    ca: fileOf('ssl.ca.location', 'ssl.ca.pem'),
    cert: fileOf('ssl.certificate.location', 'ssl.certificate.pem'),
    key: fileOf('ssl.key.location', 'ssl.key.pem'),
    pfx: fileOf('ssl.keystore.location', ''),
    passphrase: settings['ssl.key.password'] ?? settings['ssl.keystore.password'],
  }
  const options: ConnectionOptions = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  )
  if (/^(false|f|0)$/i.test(String(settings['enable.ssl.certificate.verification']))) options.rejectUnauthorized = false
  if (settings['ssl.endpoint.identification.algorithm'] === 'none') options.checkServerIdentity = () => undefined
  return options
}

type TlsError = NodeJS.ErrnoException & { cert?: { subjectaltname?: string; issuer?: Record<string, string> } }

/** The error that a connection ends with before the broker has answered a first request; undefined when it answers. */
async function probe(host: string, port: number, options: ConnectionOptions): Promise<TlsError | undefined> {
  let socket: TLSSocket | undefined
  try {
    return await new Promise<TlsError | undefined>((resolve) => {
      const name = isIP(host) === 0 ? { servername: host } : {}
      socket = connect({ ...options, ...name, host, port, timeout: PROBE_LIMIT_MS }, () => socket!.write(API_VERSIONS))
      socket.once('data', () => resolve(undefined))
      socket.once('timeout', () => resolve(undefined))
      socket.once('error', resolve)
      socket.once('close', () => resolve(Object.assign(new Error('closed'), { code: 'ECONNRESET' })))
    })
  } catch (error) {
    return error as TlsError // files that cannot be read; a key that does not fit
  } finally {
    socket?.destroy()
  }
}

const UNKNOWN_AUTHORITY = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
])
const WANTS_CERTIFICATE = new Set([
  'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
  'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN',
  'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
  'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
])

function troubleOf(error: TlsError, host: string): TlsTrouble | undefined {
  const code = error.code ?? ''
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return {
      reason: `the certificate of ${host} is for ${error.cert?.subjectaltname ?? 'other names'}, not for this host name`,
      remedy: 'Name the brokers as their certificate does (`brokers`, and advertised.listeners of the brokers).',
    }
  }
  if (UNKNOWN_AUTHORITY.has(code)) {
    return {
      reason: `the certificate of ${host} is signed by an authority that is not known here (${code})`,
      remedy: 'Set `kafka.ssl.ca.location` to a PEM file with the certificate of the authority that signed it.',
    }
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return {
      reason: `the certificate of ${host} is not valid now (${code})`,
      remedy: 'Renew it at the broker, or look at the clock of this machine.',
    }
  }
  if (WANTS_CERTIFICATE.has(code)) {
    return {
      reason: `the broker at ${host} wants a certificate of the client, and got none that it accepts (${code})`,
      remedy: 'Set `kafka.ssl.certificate.location` and `kafka.ssl.key.location` to one that its truststore knows.',
    }
  }
  return undefined
}
