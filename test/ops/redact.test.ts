// Secrets are masked in whatever is written. Keeps SPEC: CONFIG-3.
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/ops/config.ts'
import { createLog } from '../../src/ops/log.ts'
import { hideSecrets, redacted } from '../../src/ops/redact.ts'

test('a secret is masked as it is, as JSON and as a URL write it, and line by line', () => {
  const key = '-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END KEY-----'
  hideSecrets(['pa"ss/word', key])
  expect(redacted('as it is: pa"ss/word.')).toBe('as it is: ***.')
  expect(redacted(JSON.stringify({ text: 'pa"ss/word' }))).toBe('{"text":"***"}')
  expect(redacted('http://me:pa%22ss%2Fword@host')).toBe('http://me:***@host')
  expect(redacted(JSON.stringify(key))).toBe('"***"')
  expect(redacted('at MIIEvQIBADANBgkqhkiG9w0BAQ there')).toBe('at *** there')
})

test('a secret within another leaves no rest, and one too short to be told from words is left', () => {
  hideSecrets(['inside', 'outside-inside-outside', 'abc'])
  expect(redacted('outside-inside-outside inside abc')).toBe('*** *** abc')
})

test('the secrets of the configuration are masked from the moment it is read, in logs and in /config', () => {
  const env = { MILLRACE_KAFKA_SASL_PASSWORD: 'mark-3e1f', MILLRACE_KAFKA_CLIENT_ID: 'of-mark-3e1f' }
  const config = loadConfig({ env, flags: { kafka: ['ssl.key.password=mark-77aa'] } })
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'json', isTerminal: false, write: (line) => lines.push(line) })
  log.warn({ err: new Error('login with mark-3e1f'), key: 'mark-77aa' }, 'mark-3e1f failed')
  expect(JSON.parse(lines[0]!)).toMatchObject({ msg: '*** failed', key: '***' })
  expect(JSON.stringify(config.describe()) + lines.join()).not.toMatch(/mark-/)
})
