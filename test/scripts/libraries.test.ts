// What the set-up says of the libraries that librdkafka is built with. Keeps SPEC: SETUP-2.
import { expect, test } from 'vitest'
import { aptLine, missingLibraries } from '../../scripts/setup/libraries.mjs'

test('libraries that are missing are named with the line that installs them; zstd alone is not needed', () => {
  const none = missingLibraries(() => false)
  expect(aptLine(none)).toBe('apt-get install -y libssl-dev zlib1g-dev libzstd-dev')
  expect(none.filter(({ isNeeded }) => !isNeeded).map(({ debian }) => debian)).toEqual(['libzstd-dev'])
  expect(missingLibraries((header) => header !== 'zlib.h').map(({ debian }) => debian)).toEqual(['zlib1g-dev'])
})

test('headers that the compiler alone knows of count as there', () => {
  const there = missingLibraries().map(({ header }) => header)
  expect(there).not.toContain('openssl/ssl.h')
  expect(there).not.toContain('zlib.h')
})
