// The files of the page, read once at the start. They are found from the package's own folder, so that it does not matter
// whether this code runs from src or bundled from dist. Main thread.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../core/errors.ts'
import { packageRoot } from '../ops/package-root.ts'

export interface Asset {
  contentType: string
  body: string
}

const FILES = {
  '/': 'index.html',
  '/page/page.css': 'page.css',
  '/page/page.js': 'page.js',
  '/page/candles.js': 'candles.js',
}
const TYPES: Record<string, string> = { html: 'text/html', css: 'text/css', js: 'text/javascript' }

/** The assets by path. Throws MR3005 when they are not there. */
export function loadAssets(): Map<string, Asset> {
  const folder = join(packageRoot(), 'src', 'push', 'page')
  const assets = new Map<string, Asset>()
  for (const [path, file] of Object.entries(FILES)) {
    const contentType = `${TYPES[file.split('.').at(-1)!]}; charset=utf-8`
    assets.set(path, { contentType, body: readAsset(join(folder, file)) })
  }
  return assets
}

function readAsset(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const reason = (error as Error).message
    throw new MillraceError('MR3005', { part: file, reason, remedy: 'Install the package again.' }, { cause: error })
  }
}
