// Opens the views before their topics are read: what is known of the topics, their stores, with copies on disk or without, and where the
// reader begins. Main thread.
// Keeps SPEC: PUSH-12 (how long a topic has removals is known, or taken as not at all), PUSH-40 (a restart reads what came since).

import { MillraceError } from '../core/errors.ts'
import { untilLed } from '../kafka/leader-wait.ts'
import type { Admin, Reader, TopicDescription } from '../kafka/port.ts'
import { openCopiedView } from './copied-view.ts'
import type { CopyKeeper } from './copy-keeper.ts'
import type { TopicMarks } from './copy-trust.ts'
import { EndMarks } from './end-marks.ts'
import { HistoryStore } from './history-store.ts'
import { LiveView, type ViewTopic } from './live-view.ts'
import { PositionTokens } from './position-token.ts'
import type { FeedOptions, ServedView } from './view-feed.ts'
import { ViewStore } from './view-store.ts'

/** What is known of a topic before it is read. */
export interface OpenedTopic extends TopicDescription {
  /** See ViewTopic. */
  removalMs: number
}

/** By name. Throws MR4002 when one is missing. */
export async function describeTopics({ kafka, views, callMs }: FeedOptions): Promise<Map<string, OpenedTopic>> {
  const admin = await kafka.openAdmin()
  try {
    const names = [...new Set(views.map((view) => view.topic))]
    const found = new Map((await admin.describe(names, callMs)).map((topic) => [topic.name, topic]))
    const missing = names.filter((topic) => !found.has(topic))
    if (missing.length > 0) throw new MillraceError('MR4002', { topic: missing.join(' and no topic ') })
    const opened = new Map<string, OpenedTopic>()
    for (const [name, topic] of found) opened.set(name, { ...topic, removalMs: await removalMs(admin, topic, callMs) })
    return opened
  } finally {
    await admin.close()
  }
}

/** 0 where this principal may not see it: a position from before the start is not gone on from then. */
async function removalMs(admin: Admin, { name, operations }: TopicDescription, callMs: number): Promise<number> {
  if (operations !== undefined && !operations.includes('DESCRIBE_CONFIGS')) return 0
  return Number((await admin.config(name, callMs))['delete.retention.ms'] ?? 0)
}

export interface OpenedView {
  view: LiveView
  /** Of one with a copy. */
  keeper: CopyKeeper | undefined
  /** The ends of its topic when it was opened. */
  ends: EndMarks
}

/**
 * Makes the stores and points the reader at the first offset of every partition that one of them needs. What is opened is in `opened`,
 * also when it throws.
 */
export async function openViews(
  options: FeedOptions,
  topics: Map<string, OpenedTopic>,
  reader: Reader,
  opened: OpenedView[],
): Promise<void> {
  const marks = new Map<string, TopicMarks>()
  const seenMs = options.clock.monotonicMs()
  for (const { name, partitionCount, topicId, removalMs } of topics.values()) {
    const [low, high]: [number[], number[]] = [[], []]
    for (let partition = 0; partition < partitionCount; partition++) {
      const found = await untilLed((leftMs) => reader.watermarks({ topic: name, partition }, leftMs), options.callMs)
      low.push(found.low)
      high.push(found.high)
    }
    marks.set(name, { low, high, removalMs, isIdKnown: topicId !== undefined })
  }
  for (const view of options.views) {
    const topicMarks = marks.get(view.topic)!
    const ends = new EndMarks(topicMarks.high, seenMs)
    opened.push({ ...(await openView(options, view, topics.get(view.topic)!, topicMarks)), ends })
  }
  reader.assign(
    [...marks].flatMap(([topic, { low }]) => {
      const stores = opened.flatMap(({ view }) => (view.topic.name === topic ? [view.store] : []))
      return low.map((_, partition) => {
        return { topic, partition, offset: Math.min(...stores.map((store) => store.nextOffset(partition))) }
      })
    }),
  )
}

async function openView(
  options: FeedOptions,
  view: ServedView,
  topic: OpenedTopic,
  marks: TopicMarks,
): Promise<Omit<OpenedView, 'ends'>> {
  const { limits, metrics, clock, positionSecret } = options
  const { name, history = false } = view
  const { topicId = topic.name, removalMs } = topic
  const counts = metrics.ofView(name)
  const { store, keeper, openedMs } = await openStore(options, view, topicId, marks)
  const tokens = new PositionTokens(name, topicId, positionSecret)
  const viewTopic: ViewTopic = { name: topic.name, tokens, openedMs, removalMs }
  const live = new LiveView({
    name,
    topic: viewTopic,
    store,
    history: history ? new HistoryStore(name, marks.low, limits) : undefined,
    counts,
    messageCharsMax: limits.messageCharsMax,
    provisional: limits,
    wallMs: () => clock.wallMs(),
  })
  return { view: live, keeper }
}

interface OpenedStore {
  store: ViewStore
  keeper: CopyKeeper | undefined
  /** See ViewTopic. */
  openedMs: number
}

/** With a copy where there is a folder for them. A view with history has none: it is of all its rows by time, which are in memory. */
async function openStore(
  { limits, metrics, clock, copyDir: dir, log }: FeedOptions,
  { name, topic, format = 'json', history = false }: ServedView,
  topicId: string,
  marks: TopicMarks,
): Promise<OpenedStore> {
  if (dir !== undefined && !history) {
    const identity = { view: name, topic, topicId, format }
    return await openCopiedView({ dir, identity, marks, limits, counts: metrics.ofView(name).copy, clock, log })
  }
  if (dir !== undefined)
    log.info({ view: name }, 'the view has history, so it has no copy: it is in memory and read from the start')
  return { store: new ViewStore(name, marks.low, limits), keeper: undefined, openedMs: clock.wallMs() }
}
