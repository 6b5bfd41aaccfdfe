// From a plan to the sub-topologies that run it: which topic each task reads, which of them meet in one task, and the chains of
// operators that records go through. Runs on every thread; pure.
// Keeps SPEC: REPART-1 (keyBy on any other field goes through a repartition topic), JOIN-1 (streams that meet are of one unit).

import {
  allOperators,
  type ChangelogNames,
  isKeepingState,
  type OperatorPlan,
  type Plan,
  type SourcePlan,
  type StreamPlan,
} from './plan.ts'

/*
 *   orders ──filter──> repartition            unit 0: sub-topology 0 reads orders
 *                          │
 *             <job>-repartition ──keyBy──┐    unit 1: sub-topology 1 reads the repartition topic,
 *                                      join ──> sinks      2 reads payments; the tasks of both for one
 *                     payments ──keyBy───┘            partition are on one lane, and keep one state
 *
 * A sub-topology reads one topic: a task of it is one partition. Those whose records meet are a unit; the task of its first one,
 * its home, keeps the state, the changelog and the clocks of all.
 */

/** Where the records of a chain come from. */
export type ChainHead =
  | { kind: 'topic'; source: SourcePlan }
  /** Records that an operator makes of those of other chains of its unit. */
  | { kind: 'meeting'; operator: MeetingPlan; inputs: [number, number] }
  /** Rows of the aggregate, the process or the topN that ends another chain of its unit. */
  | { kind: 'rows'; of: number }

export type MeetingPlan = Extract<OperatorPlan, { other: StreamPlan }>

/** Operators one after the other; a sink takes what the operator before it (other sinks aside) gives. */
export interface Chain {
  head: ChainHead
  operators: OperatorPlan[]
  /** The chain that its records, or the rows of its aggregate, go on into. */
  next: number | undefined
}

export interface SubTopology {
  topic: string
  /** It reads a topic of others, no repartition topic. */
  isSource: boolean
  unit: number
  /** Chains of the unit that begin at its topic. */
  chains: number[]
  /** The source of the first of them; those of one topic are read alike. */
  source: SourcePlan
  /** The sub-topology whose task keeps the state of the unit. */
  home: number
  /** Records of its unit move on through a repartition topic. */
  movesOn: boolean
  /** Others wait for it: those behind a repartition topic, or a stream that meets it. They have to hear when it is quiet. */
  isHeard: boolean
  /** Of one that reads a repartition topic: the home of the unit that writes it, whose partitions its records come from. */
  from: number | undefined
  /** It is a home, and its unit keeps state. */
  isStateful: boolean
  /** The sub-topologies of tables that its records are joined with as they are: those are read first. */
  tables: number[]
}

export interface Unit {
  /** Ascending; the first is its home. */
  subs: number[]
  /** What is before comes first. */
  chains: Chain[]
  isStateful: boolean
}

export interface Topology {
  /** In the order of the records. */
  subs: SubTopology[]
  units: Unit[]
}

const known = new WeakMap<Plan, Topology>()

/**
 * The sub-topologies of a plan.
 *
 * @example
 * topologyOf(plan).subs.map(({ topic }) => topic) // ['orders', 'totals-repartition']
 */
export function topologyOf(plan: Plan): Topology {
  const topology = known.get(plan) ?? new Splitting().split(plan)
  known.set(plan, topology)
  return topology
}

/** The topics that tasks read, by sub-topology. */
export function inputTopics(plan: Plan): string[] {
  return topologyOf(plan).subs.map(({ topic }) => topic)
}

/** The topics of others that a job reads: those of its sources. */
export function sourceTopics(plan: Plan): string[] {
  return topologyOf(plan).subs.flatMap(({ topic, isSource }) => (isSource ? [topic] : []))
}

/** The tables that every instance has as a whole, by topic: one that is used twice is read once. */
export function globalSources(plan: Plan): SourcePlan[] {
  const sources = new Map<string, SourcePlan>()
  for (const operator of allOperators(plan)) {
    if (operator.kind === 'globalJoin') sources.set(operator.table.source.topic, operator.table.source)
  }
  return [...sources.values()]
}

/** Sources of a plan by topic, the main one first. */
export function sourcesOf(plan: Plan): SourcePlan[] {
  return topologyOf(plan).subs.flatMap(({ source, isSource }) => (isSource ? [source] : []))
}

/** The changelog of each unit with state: `<job>-changelog`, then `<job>-changelog-2`, ...; by sub-topology, of homes alone. */
export function changelogNames(plan: Plan): ChangelogNames {
  let count = 0
  return topologyOf(plan).subs.map(({ isStateful }) => {
    if (!isStateful) return undefined
    count++
    return count === 1 ? `${plan.job}-changelog` : `${plan.job}-changelog-${count}`
  })
}

/** A chain while the plan is split: its unit is known at the end. */
interface Draft extends Chain {
  /** Chains of one unit have one root. */
  root: Draft
}

/** Records would go from a unit through a repartition topic to that unit again. */
export class CircleError extends Error {
  readonly moved: string
  /** The topics that are read on both sides, among others. */
  readonly topics: readonly string[]

  constructor(moved: string, topics: readonly string[]) {
    super(`what moves through ${moved} goes round in a circle`)
    this.moved = moved
    this.topics = topics
  }
}

class Splitting {
  readonly #drafts: Draft[] = []

  split(plan: Plan): Topology {
    for (const stream of [plan, ...(plan.branches ?? [])]) this.#walk(stream)
    const roots = this.#orderedRoots()
    const units: Unit[] = []
    const subs: SubTopology[] = []
    const movedTo = new Map<string, number>()
    for (const root of roots) {
      const drafts = this.#drafts.filter((draft) => rootOf(draft) === root)
      const isStateful = drafts.some(
        ({ head, operators }) =>
          (head.kind === 'meeting' && isKeepingState(head.operator)) || operators.some(isKeepingState),
      )
      const movesOn = drafts.some(({ operators }) => operators.some(({ kind }) => kind === 'repartition'))
      const unit = units.length
      const home = subs.length
      const chains = drafts.map((draft) => this.#chainOf(draft, drafts))
      chains.forEach(({ head }, number) => {
        if (head.kind !== 'topic') return
        const { source } = head
        const sub = subs.find(({ topic }) => topic === source.topic)
        if (sub !== undefined) {
          sub.chains.push(number)
          return
        }
        const isSource = source.eventTime.kind !== 'carried'
        const isHome = subs.length === home
        subs.push({
          topic: source.topic,
          isSource,
          unit,
          chains: [number],
          source,
          home,
          movesOn,
          isHeard: movesOn || chains.length > 1,
          from: movedTo.get(source.topic),
          isStateful: isHome && isStateful,
          tables: [],
        })
      })
      for (const { operators } of chains) {
        for (const operator of operators) if (operator.kind === 'repartition') movedTo.set(operator.topic, home)
      }
      units.push({ subs: subs.flatMap((sub, at) => (sub.unit === unit ? [at] : [])), chains, isStateful })
    }
    for (const unit of units) for (const chain of unit.chains) noteTables(subs, unit, chain)
    return { subs, units }
  }

  /** Adds the chains of a stream. Gives the last one, which whoever takes its records follows. */
  #walk(stream: StreamPlan): Draft {
    let draft = this.#add({ kind: 'topic', source: stream.source })
    for (const operator of stream.operators) {
      if ('other' in operator) {
        const other = this.#walk(operator.other)
        const inputs: [number, number] = [this.#drafts.indexOf(draft), this.#drafts.indexOf(other)]
        const met = this.#add({ kind: 'meeting', operator, inputs })
        for (const input of [draft, other]) {
          input.next = this.#drafts.indexOf(met)
          unite(input, met)
        }
        draft = met
      } else if (operator.kind === 'rows') {
        draft = this.#follow(draft)
      } else if (operator.kind === 'process' || operator.kind === 'topN') {
        draft.operators.push(operator)
        draft = this.#follow(draft)
      } else {
        draft.operators.push(operator)
        if (operator.kind === 'repartition') draft = this.#add({ kind: 'topic', source: movedSource(stream, operator) })
      }
    }
    return draft
  }

  /** The chain that the rows of another one go on into. */
  #follow(draft: Draft): Draft {
    const rows = this.#add({ kind: 'rows', of: this.#drafts.indexOf(draft) })
    draft.next = this.#drafts.indexOf(rows)
    unite(draft, rows)
    return rows
  }

  #add(head: ChainHead): Draft {
    const draft = { head, operators: [], next: undefined } as unknown as Draft
    draft.root = draft
    // Streams of one topic are read by one task.
    if (head.kind === 'topic') {
      const { topic } = head.source
      const twin = this.#drafts.find((one) => one.head.kind === 'topic' && one.head.source.topic === topic)
      if (twin !== undefined) unite(twin, draft)
    }
    this.#drafts.push(draft)
    return draft
  }

  /** Units by their records: what writes a topic comes before what reads it. */
  #orderedRoots(): Draft[] {
    const roots = [...new Set(this.#drafts.map(rootOf))]
    const ordered: Draft[] = []
    const written = new Set<string>()
    const isWritten = ({ head }: Draft): boolean =>
      head.kind !== 'topic' || head.source.eventTime.kind !== 'carried' || written.has(head.source.topic)
    const isReady = (root: Draft): boolean => this.#drafts.every((draft) => rootOf(draft) !== root || isWritten(draft))
    while (ordered.length < roots.length) {
      const next = roots.find((root) => !ordered.includes(root) && isReady(root))
      if (next === undefined) throw this.#circleOf(roots.filter((root) => !ordered.includes(root)))
      ordered.push(next)
      for (const draft of this.#drafts) {
        if (rootOf(draft) !== next) continue
        for (const operator of draft.operators) if (operator.kind === 'repartition') written.add(operator.topic)
      }
    }
    return ordered
  }

  #circleOf(roots: readonly Draft[]): CircleError {
    const drafts = this.#drafts.filter((draft) => roots.includes(rootOf(draft)))
    const sources = drafts.flatMap(({ head }) => (head.kind === 'topic' ? [head.source] : []))
    const moved = sources.find(({ eventTime }) => eventTime.kind === 'carried')!
    const others = sources.filter(({ eventTime }) => eventTime.kind !== 'carried').map(({ topic }) => topic)
    return new CircleError(moved.topic, [...new Set(others)])
  }

  /** Numbers within its unit. */
  #chainOf({ head, operators, next }: Draft, drafts: readonly Draft[]): Chain {
    const numberOf = (index: number): number => drafts.indexOf(this.#drafts[index]!)
    const own: ChainHead =
      head.kind === 'topic'
        ? head
        : head.kind === 'rows'
          ? { kind: 'rows', of: numberOf(head.of) }
          : { ...head, inputs: [numberOf(head.inputs[0]), numberOf(head.inputs[1])] }
    return { head: own, operators, next: next === undefined ? undefined : numberOf(next) }
  }
}

/** A stream that is joined with a table as it is waits for what the table is made of. */
function noteTables(subs: readonly SubTopology[], unit: Unit, { head }: Chain): void {
  if (head.kind !== 'meeting' || head.operator.kind !== 'tableJoin' || head.operator.asOf !== undefined) return
  const [left, right] = head.inputs.map((input) => subsBefore(subs, unit, input))
  const tables = right!.filter((sub) => subs[sub]!.source.isTable === true)
  for (const sub of left!) subs[sub]!.tables.push(...tables.filter((one) => one !== sub))
}

/** The sub-topologies whose records come into a chain. */
function subsBefore(subs: readonly SubTopology[], unit: Unit, number: number): number[] {
  const { head } = unit.chains[number]!
  if (head.kind === 'topic') return unit.subs.filter((sub) => subs[sub]!.chains.includes(number))
  const inputs = head.kind === 'rows' ? [head.of] : head.inputs
  return inputs.flatMap((input) => subsBefore(subs, unit, input))
}

function rootOf(draft: Draft): Draft {
  let root = draft
  while (root.root !== root) root = root.root
  return root
}

/** The later one joins the unit of the earlier one. */
function unite(a: Draft, b: Draft): void {
  rootOf(b).root = rootOf(a)
}

/** What was checked before the records moved is not checked again: key, event time, schema. */
function movedSource(
  { source }: StreamPlan,
  { topic, format, isMade }: Extract<OperatorPlan, { kind: 'repartition' }>,
): SourcePlan {
  const moved: SourcePlan = {
    ...source,
    topic,
    format,
    shape: 'single',
    keyField: undefined,
    eventTime: { kind: 'carried' },
    closeOnIdle: undefined,
    schemaFn: undefined,
  }
  if (isMade) delete moved.origin
  else moved.origin = source.origin ?? source.topic
  return moved
}
