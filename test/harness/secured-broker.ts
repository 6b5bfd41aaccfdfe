// A real Kafka that lets nobody in without credentials: SASL with and without TLS, TLS with client certificates, and an
// authorizer. Its plaintext listener is for the harness alone: whoever comes that way is the super user.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Broker, freePort, startBroker } from './broker.ts'
import { type Certificates, makeCertificates } from './certificates.ts'
import { makeTokenAuthority, type TokenAuthority } from './token-endpoint.ts'

export interface SecuredBroker {
  /** Addresses by listener. `brokers` of `internal` is the super user's. */
  internal: string
  saslPlaintext: string
  saslSsl: string
  /** Wants a certificate of the client. */
  ssl: string
  /** The TLS listeners by an address that is not in the broker's certificate. */
  saslSslByAddress: string
  certificates: Certificates
  /** Signs tokens that the broker accepts. */
  tokens: TokenAuthority
  logFile: string
  stop(): Promise<void>
}

export interface SecuredBrokerOptions {
  /** Users of PLAIN and SCRAM, by name; the value is the password. */
  users: Readonly<Record<string, string>>
  /** Subject of the client's certificate, and so its principal. */
  clientName: string
  /** Names of principals that may do everything; the rest needs ACLs. */
  superUsers: readonly string[]
}

const MECHANISMS = 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER'

/**
 * Starts it; `stop` removes all of it.
 *
 * @example
 * const broker = await startSecuredBroker({ users: { alice: 'secret' }, clientName: 'alice', superUsers: ['alice'] })
 */
export async function startSecuredBroker(options: SecuredBrokerOptions): Promise<SecuredBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-secured-'))
  const certificates = makeCertificates(folder, options.clientName)
  const tokens = makeTokenAuthority()
  const jwksUrl = `file://${join(folder, 'jwks.json')}`
  await writeFile(join(folder, 'jwks.json'), tokens.jwks)
  const [internal, controller, saslPlaintext, saslSsl, ssl] = await Promise.all(Array.from({ length: 5 }, freePort))
  const ports = { INTERNAL: internal!, SASLPLAIN: saslPlaintext!, SASLTLS: saslSsl!, CERT: ssl! }
  const broker = await startBroker({
    port: internal!,
    settings: {
      ...listenerSettings(ports, controller!),
      ...saslSettings(options, jwksUrl),
      ...tlsSettings(certificates),
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': ['ANONYMOUS', ...options.superUsers].map((name) => `User:${name}`).join(';'),
    },
    formatArguments: scramUsers(options.users),
    jvmArguments: [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${jwksUrl}`],
  })
  return {
    internal: `127.0.0.1:${internal}`,
    saslPlaintext: `localhost:${saslPlaintext}`,
    saslSsl: `localhost:${saslSsl}`,
    ssl: `localhost:${ssl}`,
    saslSslByAddress: `127.0.0.1:${saslSsl}`,
    certificates,
    tokens,
    logFile: broker.logFile,
    async stop() {
      await (broker as Broker).stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function listenerSettings(ports: Record<string, number>, controller: number): Record<string, string> {
  const hosts = (host: string) => Object.entries(ports).map(([name, port]) => `${name}://${host}:${port}`)
  const protocols = ['INTERNAL:PLAINTEXT', 'SASLPLAIN:SASL_PLAINTEXT', 'SASLTLS:SASL_SSL', 'CERT:SSL']
  return {
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: [...hosts('127.0.0.1'), `CONTROLLER://127.0.0.1:${controller}`].join(','),
    'advertised.listeners': hosts('localhost').join(','),
    'listener.security.protocol.map': [...protocols, 'CONTROLLER:PLAINTEXT'].join(','),
    'inter.broker.listener.name': 'INTERNAL',
  }
}

function saslSettings({ users }: SecuredBrokerOptions, jwksUrl: string): Record<string, string> {
  const userOptions = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`)
  const module = (name: string, more = '') => `org.apache.kafka.common.security.${name} required${more};`
  const perListener = ['saslplain', 'sasltls'].flatMap((listener) => {
    const prefix = `listener.name.${listener}`
    return [
      [`${prefix}.plain.sasl.jaas.config`, module('plain.PlainLoginModule', ` ${userOptions.join(' ')}`)],
      [`${prefix}.scram-sha-256.sasl.jaas.config`, module('scram.ScramLoginModule')],
      [`${prefix}.scram-sha-512.sasl.jaas.config`, module('scram.ScramLoginModule')],
      [`${prefix}.oauthbearer.sasl.jaas.config`, module('oauthbearer.OAuthBearerLoginModule')],
      [
        `${prefix}.oauthbearer.sasl.server.callback.handler.class`,
        'org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler',
      ],
      // Sessions end with their token, so that a client that does not renew it is thrown out.
      [`${prefix}.oauthbearer.connections.max.reauth.ms`, '3600000'],
    ]
  })
  return {
    'sasl.enabled.mechanisms': MECHANISMS,
    'sasl.oauthbearer.jwks.endpoint.url': jwksUrl,
    ...Object.fromEntries(perListener),
  }
}

function tlsSettings({ broker, ca }: Certificates): Record<string, string> {
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': broker,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': ca,
    'listener.name.cert.ssl.client.auth': 'required',
    'listener.name.cert.ssl.principal.mapping.rules': 'RULE:^CN=([^,]+).*$/$1/,DEFAULT',
  }
}

function scramUsers(users: Readonly<Record<string, string>>): string[] {
  return Object.entries(users).flatMap(([name, password]) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${name},password=${password}]`,
    ]),
  )
}
