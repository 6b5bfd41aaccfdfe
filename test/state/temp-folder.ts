// Folders for tests of state, removed at the end of the test file. Quick.
// Keeps SPEC: none of its own.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

const folders: string[] = []

/** A new folder of this test file. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-state-'))
  folders.push(folder)
  return folder
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
