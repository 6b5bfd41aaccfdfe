// Where the demo listens. Keeps SPEC: CONFIG-1.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { withFreePorts } from '../../src/cli/commands/demo.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-ports-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('the demo takes any free port, but those that flags, environment or file ask for', () => {
  expect(withFreePorts({}, {})).toEqual({ MILLRACE_HTTP_PORT: '0', MILLRACE_PUSH_PORT: '0' })
  expect(withFreePorts({ httpPort: '9000' }, {})).toEqual({ MILLRACE_PUSH_PORT: '0' })
  expect(withFreePorts({}, { MILLRACE_PUSH_PORT: '9001' })).toEqual({
    MILLRACE_HTTP_PORT: '0',
    MILLRACE_PUSH_PORT: '9001',
  })
  const file = join(folder, 'millrace.yaml')
  writeFileSync(file, 'http:\n  port: 9002\n')
  expect(withFreePorts({}, { MILLRACE_CONFIG: file })).toEqual({ MILLRACE_CONFIG: file, MILLRACE_PUSH_PORT: '0' })
})
