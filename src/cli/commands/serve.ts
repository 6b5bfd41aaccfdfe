// `millrace serve [JOB]`: serves views without running their job. Main thread.
// Keeps SPEC: CLI-1, CLI-2, STOP-1, PUSH-22.

import { MillraceError } from '../../core/errors.ts'
import { parseDuration } from '../../job/duration.ts'
import type { Config } from '../../ops/config.ts'
import { availableMemoryBytes } from '../../ops/memory-plan.ts'
import { packageVersion } from '../../ops/package-root.ts'
import type { ServedView } from '../../push/view-feed.ts'
import type { CommandSpec } from '../command.ts'
import { addConfigFlags, configFromFlags } from '../config-flags.ts'
import { commandLog, drawStatus, liveToEnd } from '../job-run.ts'
import type { ServingInfo, ServingSnapshot } from '../serve-views.ts'
import type { Terminal } from '../terminal.ts'
import { type TopicView, topicViewOf } from '../view-argument.ts'

/** Keys that mean something without a job. */
const LIMITS = new Set([
  'stopMs',
  'connectMs',
  'callMs',
  'viewBytesMax',
  'memoryBytesMax',
  'decodeDepthMax',
  'decodeNodesMax',
])
const KEYS = (key: string): boolean =>
  key === 'brokers' || /^(http|push|log)\./.test(key) || (key.startsWith('limits.') && LIMITS.has(key.slice(7)))

export const serve: CommandSpec = {
  define: (program) =>
    addConfigFlags(
      program
        .command('serve')
        .argument('[job]', 'file that exports a job as its default (.ts or .js): its views are served, it is not run')
        .description('serve views to clients without running their job; any number of these may serve the same')
        .option(
          '--view <name=topic>',
          'a topic as a view, `name=topic:msgpack` where it is not JSON; may be repeated',
          more,
        )
        .option('--wait <duration>', 'how long topics that are missing are waited for', '0s'),
      KEYS,
    ),
  jsonFields: {
    views: 'names of the views',
    rowsRead: 'records read from their topics since the start',
    rowsPushed: 'rows sent, once for each client',
    clients: 'clients that were connected when it ended',
    subscriptions: 'their subscriptions',
    elapsedMs: 'from the start to the end',
    rssBytesMax: 'greatest resident memory of the process',
  },
  async run([jobFile], options, { terminal, env }) {
    const config = configFromFlags(options, env, availableMemoryBytes(), 'views')
    const waitMs = parseDuration(options.wait)
    if (waitMs === undefined) throw badLine(`--wait ${String(options.wait)}: expected a duration as 15s`)
    const plain = ((options.view ?? []) as string[]).map(topicViewOf)
    if (jobFile === undefined && plain.length === 0) throw badLine('a job file or --view is needed')
    const views = await viewsToServe(jobFile, plain, config)
    const { pageFor } = await import('../page.ts')
    const page = await pageFor(config.push.page, jobFile)
    const names = views.map(({ name }) => name)
    terminal.say(`millrace ${packageVersion()}, views ${names.join(', ')}, brokers ${config.brokers}`)
    const log = commandLog(config, terminal)
    const { serveViews } = await import('../serve-views.ts')
    let endStatus = () => {}
    const summary = await liveToEnd(
      () => serveViews({ views, config, page, waitMs, log }),
      terminal,
      (serving, info) => {
        sayReady(info, terminal)
        endStatus = drawStatus(() => serving.snapshot(), terminal, servingLine)
      },
    ).finally(() => endStatus())
    terminal.say(`ended: ${summary.rowsRead} rows read, ${summary.rowsPushed} pushed`)
    return { command: 'serve', views: names, ...summary }
  },
}

function more(text: string, before: string[] = []): string[] {
  return [...before, text]
}

/** Those of the job and the plain ones. Loaded late: the other commands work where the native parts are not built. */
async function viewsToServe(
  jobFile: string | undefined,
  plain: readonly TopicView[],
  config: Config,
): Promise<ServedView[]> {
  const { topicView, viewsOf } = await import('../push-side.ts')
  const { loadJob } = await import('../load-job.ts')
  const ofJob = jobFile === undefined ? [] : viewsOf((await loadJob(jobFile)).job.plan)
  if (jobFile !== undefined && ofJob.length === 0 && plain.length === 0)
    throw badLine(`${jobFile} has no view (toView)`)
  const views = [...ofJob, ...plain.map(({ name, topic, format }) => topicView(name, topic, format, config))]
  const seen = new Set<string>()
  for (const { name } of views) {
    if (seen.has(name)) throw badLine(`there are two views ${name}`)
    seen.add(name)
  }
  return views
}

function badLine(reason: string): MillraceError {
  return new MillraceError('MR3002', { reason })
}

function sayReady({ views, urls, millis }: ServingInfo, terminal: Terminal): void {
  terminal.say(`${views.length} ${views.length === 1 ? 'view' : 'views'}, open in a browser: ${urls.push}`)
  terminal.say(`health and metrics: ${urls.admin}`)
  terminal.say(`ready in ${Math.round(millis)} ms`)
}

/** The status line from two snapshots a second apart. */
export function servingLine(before: ServingSnapshot, now: ServingSnapshot): string {
  const count = (value: number): string => Math.round(value).toLocaleString('en-US')
  const read = Math.max(0, now.rowsRead - before.rowsRead)
  const pushed = Math.max(0, now.rowsPushed - before.rowsPushed)
  return `${count(now.clients)} clients · ${count(now.subscriptions)} subscriptions · ${count(read)} rows/s read · ${count(pushed)} rows/s pushed`
}
