// What of the tree is in the context of a build: .dockerignore as docker reads it. Pure but for the reading.
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import dockerIgnore from '@balena/dockerignore'

/** A folder is gone into unless it is ignored and no exception lies below it. */
export function ignoreOf(context) {
  const path = join(context, '.dockerignore')
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []
  const ignore = dockerIgnore({ ignorecase: false }).add(lines.join('\n'))
  const exceptions = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1).trim())
  const hasException = (folder) => exceptions.some((exception) => exception.startsWith(`${folder}/`))
  return { takes: (name, isFolder) => !ignore.ignores(name) || (isFolder && hasException(name)) }
}

/** Whether a COPY of this path brings anything, as docker build asks before it starts. */
export function isInContext(context, path, ignore = ignoreOf(context)) {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return false
  if (path !== context && !ignore.takes(relative(context, path), stat.isDirectory())) return false
  return !stat.isDirectory() || readdirSync(path).some((name) => isInContext(context, join(path, name), ignore))
}
