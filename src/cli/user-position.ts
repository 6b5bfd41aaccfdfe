// From the stack of an error to the place in the user's own file, through the bundle's inline source map. Pure.
// Keeps SPEC: JOB-6 (error lines are the user's).

import { SourceMap } from 'node:module'
import { fileURLToPath } from 'node:url'

export interface UserPosition {
  file: string
  /** From 1. */
  line: number
  /** From 1. */
  column: number
}

/**
 * The topmost place of a stack that lies in the user's code: mapped when it is a place in the bundle at `bundlePath`, taken as it is
 * when Node has mapped it already. Undefined when the stack has none.
 */
export function userPosition(stack: string, bundle: string, bundlePath: string): UserPosition | undefined {
  const map = inlineMap(bundle)
  const sources = new Set(map?.payload.sources.map(sourcePath))
  for (const [, path, line, column] of stack.matchAll(/((?:file:\/\/)?\/[^\s()]+?):(\d+)(?::(\d+))?(?=\)|\s|$)/gm)) {
    const file = path!.startsWith('file://') ? fileURLToPath(path!) : path!
    if (file === bundlePath && map !== undefined) return mapped(map, Number(line), Number(column ?? 1))
    if (sources.has(file)) return { file, line: Number(line), column: Number(column ?? 1) }
  }
  return undefined
}

function mapped(map: SourceMap, line: number, column: number): UserPosition | undefined {
  const entry = map.findEntry(line - 1, column - 1)
  if (!('originalSource' in entry)) return undefined
  return {
    file: sourcePath(entry.originalSource),
    line: entry.originalLine + 1,
    column: entry.originalColumn + 1,
  }
}

/** Sources are named from the top folder: the bundle was made as `/job.mjs`. */
function sourcePath(source: string): string {
  return source.startsWith('file://') ? fileURLToPath(source) : `/${source.replace(/^\/+/, '')}`
}

function inlineMap(bundle: string): SourceMap | undefined {
  const mark = 'sourceMappingURL=data:application/json;base64,'
  const at = bundle.lastIndexOf(mark)
  if (at < 0) return undefined
  const json = Buffer.from(bundle.slice(at + mark.length).trim(), 'base64').toString('utf8')
  return new SourceMap(JSON.parse(json))
}
