// From what a job file exports to a compiled job: a complete stage is built, a compiled job is taken as it is.
// Runs on every thread; pure.
// Keeps SPEC: PLAN-1 (both threads build the same plan from the same module).

import { MillraceError } from '../core/errors.ts'
import type { CompiledJob } from './plan.ts'

/**
 * The compiled job of a module's default export. Throws MR1001 when it is no job, MR1002 when it is not valid.
 *
 * @example
 * const { plan, functions } = compiledJobOf((await import(jobUrl)).default, 'job.ts')
 */
export function compiledJobOf(exported: unknown, file: string): CompiledJob {
  if (isBuildable(exported)) return exported.build()
  if (isCompiled(exported)) return exported
  throw new MillraceError('MR1001', { file })
}

function isBuildable(value: unknown): value is { build(): CompiledJob } {
  return typeof value === 'object' && value !== null && 'build' in value && typeof value.build === 'function'
}

function isCompiled(value: unknown): value is CompiledJob {
  if (typeof value !== 'object' || value === null || !('plan' in value) || !('functions' in value)) return false
  const plan = value.plan as { formatVersion?: unknown } | null
  return Array.isArray(value.functions) && typeof plan === 'object' && plan !== null && plan.formatVersion === 1
}
