// Certificates for tests, made by openssl when they run: an authority, a broker that is called localhost, a client.
// Runs in the test runner's process.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Certificates {
  /** The authority that signed all of them. */
  ca: string
  /** An authority that signed none. */
  otherCa: string
  /** Key and certificate of the broker in one file; its only name is `localhost`. */
  broker: string
  clientKey: string
  clientCertificate: string
}

/** Makes them in `folder`; the client's subject is `CN=<clientName>`. Needs openssl. */
export function makeCertificates(folder: string, clientName: string): Certificates {
  const at = (name: string) => join(folder, name)
  makeAuthority(folder, 'ca')
  makeAuthority(folder, 'other-ca')
  sign(folder, 'broker', 'localhost', 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n')
  sign(folder, 'client', clientName, 'extendedKeyUsage=clientAuth\n')
  writeFileSync(at('broker.pem'), readFileSync(at('broker.key'), 'utf8') + readFileSync(at('broker.crt'), 'utf8'))
  return {
    ca: at('ca.crt'),
    otherCa: at('other-ca.crt'),
    broker: at('broker.pem'),
    clientKey: at('client.key'),
    clientCertificate: at('client.crt'),
  }
}

function makeAuthority(folder: string, name: string): void {
  const subject = ['-subj', `/CN=millrace test ${name}`, '-days', '2']
  openssl(folder, ['req', '-x509', ...NEW_KEY, '-keyout', `${name}.key`, '-out', `${name}.crt`, ...subject])
}

function sign(folder: string, name: string, commonName: string, extensions: string): void {
  writeFileSync(join(folder, `${name}.ext`), extensions)
  openssl(folder, ['req', ...NEW_KEY, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${commonName}`])
  const authority = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2']
  openssl(folder, [
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    ...authority,
    '-extfile',
    `${name}.ext`,
    '-out',
    `${name}.crt`,
  ])
}

const NEW_KEY = ['-newkey', 'rsa:2048', '-nodes']

function openssl(folder: string, args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
}
