// Where this installation of Millrace lies, whether it runs from sources or from dist. Any thread.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

let root: string | undefined

/** The folder of Millrace's package.json. */
export function packageRoot(): string {
  if (root !== undefined) return root
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const path = join(folder, 'package.json')
    if (existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).name === 'millrace') {
      root = folder
      return folder
    }
    if (folder === dirname(folder)) throw new Error('the package.json of millrace is not above its own code')
  }
}

/** Version in package.json. */
export function packageVersion(): string {
  return JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')).version
}
