// Bundles a job file with esbuild: the user's own files in one module, packages by their absolute URLs. Main thread.
// Keeps SPEC: JOB-6 (error lines are the user's), PLAN-1 (one instance of Millrace in a process).

import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type BuildFailure, build, type Message, type OnResolveArgs, type OnResolveResult, type Plugin } from 'esbuild'
import { MillraceError } from '../core/errors.ts'
import { packageRoot } from '../ops/package-root.ts'

/**
 * The bundled module as text, with an inline source map. Throws MR1005 with the places of all errors.
 *
 * @example
 * const text = await bundleJob('job.ts', '/srv/job.ts')
 */
export async function bundleJob(file: string, sourceFile: string): Promise<string> {
  try {
    const { outputFiles } = await build({
      entryPoints: [sourceFile],
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'inline',
      // Sources are named by absolute paths, since the place of the bundle has nothing to do with theirs.
      sourceRoot: '/',
      outfile: '/job.mjs',
      legalComments: 'none',
      logLevel: 'silent',
      plugins: [millraceImports, packageImports],
    })
    return outputFiles[0]!.text
  } catch (error) {
    throw new MillraceError('MR1005', { file, reason: failureText(error) }, { cause: error })
  }
}

/** All errors of a bundle, each with its place. */
export function failureText(error: unknown): string {
  const errors = (error as Partial<BuildFailure>).errors
  return errors === undefined || errors.length === 0 ? String(error) : errors.map(messageText).join('; ')
}

function messageText({ text, location }: Message): string {
  if (location === null) return text
  return `${text} (${location.file}:${location.line}:${location.column + 1}): ${location.lineText.trim()}`
}

/** `millrace` is the running installation, wherever the job file lies. */
const millraceImports: Plugin = {
  name: 'millrace-imports',
  setup(esbuild) {
    esbuild.onResolve({ filter: /^millrace(\/test)?$/ }, ({ path }) => {
      const entry = path === 'millrace' ? 'index.js' : 'testing/index.js'
      const built = join(packageRoot(), 'dist', 'src', entry)
      return { path: pathToFileURL(built).href, external: true }
    })
  },
}

const RESOLVING = { isResolving: true }

/** Packages are found from the file that imports them and left outside, by URL; TypeScript packages are bundled. */
const packageImports: Plugin = {
  name: 'package-imports',
  setup(esbuild) {
    esbuild.onResolve({ filter: /^[^./]/ }, async (args: OnResolveArgs): Promise<OnResolveResult | undefined> => {
      if (args.pluginData === RESOLVING || isBuiltin(args.path) || args.path.startsWith('file:')) return undefined
      const { kind, importer, resolveDir } = args
      const found = await esbuild.resolve(args.path, { kind, importer, resolveDir, pluginData: RESOLVING })
      if (found.errors.length > 0) return { errors: found.errors }
      if (found.external) return { path: found.path, external: true }
      if (/\.([cm]?tsx?|jsx|json)$/.test(found.path)) return { path: found.path }
      return { path: pathToFileURL(found.path).href, external: true }
    })
  },
}
