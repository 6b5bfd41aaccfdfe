// Loads a job file: bundles it (TypeScript and all), imports the bundle and builds the job. Main thread.
// Keeps SPEC: PLAN-1 (both threads build the same plan from the same module), JOB-6 (error lines are the user's).

import { stat } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ERRORS, type ErrorCode, MillraceError } from '../core/errors.ts'
import { compiledJobOf } from '../job/compiled-job.ts'
import type { CompiledJob } from '../job/plan.ts'
import { bundleJob } from './bundle-job.ts'
import { keepBundle } from './job-cache.ts'
import { userPosition } from './user-position.ts'

export interface LoadedJob {
  job: CompiledJob
  /** URL of the bundle: what lanes import. */
  jobUrl: string
  /** Absolute path of the user's file. */
  sourceFile: string
}

export interface LoadJobOptions {
  /** The bundle is kept in `.millrace/_jobs` of this folder. Default: the current folder. */
  folder?: string
}

/**
 * Loads and compiles the job that a file exports as its default: `.ts`, `.mts`, `.js` or `.mjs`.
 *
 * Throws MR1005 when the file cannot be read, bundled or run, with the place in the user's file; MR1001 when it exports no
 * job; MR1002 when the job is not valid.
 *
 * @example
 * const { job, jobUrl } = await loadJob('examples/candles/job.ts')
 */
export async function loadJob(file: string, options: LoadJobOptions = {}): Promise<LoadedJob> {
  const sourceFile = resolve(file)
  await checkFile(file, sourceFile)
  const bundle = await bundleJob(file, sourceFile)
  const path = await keepBundle(bundle, options.folder ?? process.cwd())
  const jobUrl = pathToFileURL(path).href
  try {
    const module = (await import(jobUrl)) as { default?: unknown }
    return { job: compiledJobOf(module.default, file), jobUrl, sourceFile }
  } catch (error) {
    throw asMillraceError(error) ?? loadFailure(file, error, bundle, path)
  }
}

async function checkFile(file: string, path: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error.code ?? 'unknown error')
  if (typeof found === 'string') {
    throw new MillraceError('MR1005', { file, reason: found === 'ENOENT' ? 'there is no such file' : found })
  }
  if (!found.isFile()) throw new MillraceError('MR1005', { file, reason: 'it is not a file' })
}

/** A job imports the installed Millrace, which may be another copy than the one that runs this: compare by name, not class. */
function asMillraceError(error: unknown): MillraceError | undefined {
  if (error instanceof MillraceError) return error
  if (!(error instanceof Error) || error.name !== 'MillraceError') return undefined
  const { code, details } = error as Partial<MillraceError>
  if (code === undefined || !(code in ERRORS)) return undefined
  return new MillraceError(code as ErrorCode, details, { cause: error })
}

function loadFailure(file: string, error: unknown, bundle: string, path: string): MillraceError {
  const position = error instanceof Error ? userPosition(error.stack ?? '', bundle, path) : undefined
  const at =
    position === undefined ? '' : ` (${relative(process.cwd(), position.file)}:${position.line}:${position.column})`
  return new MillraceError('MR1005', { file, reason: `${String(error)}${at}` }, { cause: error })
}
