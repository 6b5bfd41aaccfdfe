// The files that settings of TLS name: looked at before librdkafka does, which says `system lib` of one that is missing.
// Main thread. Keeps SPEC: SECURE-2.
import { accessSync, constants } from 'node:fs'
import type { PlainSettings } from './settings.ts'

const LOCATIONS = [
  'ssl.ca.location',
  'ssl.certificate.location',
  'ssl.key.location',
  'ssl.keystore.location',
  'ssl.crl.location',
  'https.ca.location',
] as const

/** Settings whose file (or folder) cannot be read, each with its path and the reason. */
export function unreadableFiles(settings: PlainSettings): string[] {
  return LOCATIONS.flatMap((name) => {
    const path = settings[name]
    // `probe`: librdkafka looks in the usual places itself.
    if (typeof path !== 'string' || path === 'probe') return []
    try {
      accessSync(path, constants.R_OK)
      return []
    } catch (error) {
      return [`kafka.${name}: the file cannot be read (${(error as Error).message})`]
    }
  })
}
