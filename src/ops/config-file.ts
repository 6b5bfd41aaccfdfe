// Reads millrace.yaml into flat entries (`http.port` -> value, line), without judging the keys. Main thread.
// Keeps SPEC: CONFIG-2 (each problem names file and line).
import { readFileSync } from 'node:fs'
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import type { Scalar } from './config-value.ts'

/** Nested deeper than this is a mistake; it also ends alias cycles. */
const DEPTH_MAX = 8

export interface FileEntry {
  key: string
  /** Undefined: nothing is written behind the key. */
  value: Scalar | undefined
  /** `millrace.yaml:3`. */
  where: string
}

export interface ConfigFile {
  entries: FileEntry[]
  problems: string[]
}

/**
 * Reads a configuration file. Problems of YAML itself come back as texts with `file:line`; nothing is thrown.
 *
 * @example
 * readConfigFile('millrace.yaml').entries // [{ key: 'http.port', value: 9000, where: 'millrace.yaml:2' }]
 */
export function readConfigFile(path: string): ConfigFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    return { entries: [], problems: [`${path}: the file cannot be read (${(error as Error).message})`] }
  }
  return parseConfigFile(path, text)
}

/** The same from the text of a file. */
export function parseConfigFile(path: string, text: string): ConfigFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const file: ConfigFile = { entries: [], problems: [] }
  const whereIs = (offset: number) => `${path}:${lines.linePos(offset).line}`
  for (const error of document.errors) file.problems.push(`${whereIs(error.pos[0])}: not valid YAML: ${error.message}`)
  if (file.problems.length > 0 || document.contents === null) return file

  /** Where a node starts, or `fallback` for one that the file does not spell out. */
  const offsetOf = (node: Node | null, fallback: number) => node?.range?.[0] ?? fallback
  const resolve = (node: unknown): unknown => (isAlias(node) ? node.resolve(document) : node)

  function walk(node: unknown, prefix: string, offset: number, depth: number): void {
    if (!isMap(node) || depth > DEPTH_MAX) {
      file.problems.push(`${whereIs(offset)}: expected \`key: value\` lines${prefix === '' ? '' : ` under ${prefix}`}`)
      return
    }
    for (const pair of node.items) {
      const at = offsetOf(pair.key as Node | null, offset)
      const key = prefix + (isScalar(pair.key) ? String(pair.key.value) : '?')
      const value = resolve(pair.value)
      if (isMap(value)) walk(value, `${key}.`, at, depth + 1)
      else file.entries.push({ key, value: scalarOf(value), where: whereIs(at) })
    }
  }
  walk(document.contents, '', offsetOf(document.contents, 0), 0)
  return file
}

/** A scalar as it is; a list of scalars as a comma-separated text. */
function scalarOf(node: unknown): Scalar | undefined {
  if (isSeq(node)) return node.items.map((item) => (isScalar(item) ? String(item.value) : '?')).join(',')
  if (!isScalar(node)) return undefined
  const { value } = node
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined
}
