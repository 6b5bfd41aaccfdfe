// The draft of a job: what was said so far, unchecked, in the order it was said. The builder writes it, the compiler reads it.
// Runs on every thread; pure.
// Keeps SPEC: JOB-1 (what a job says is data, checked when it is built).

import type { UncheckedOptions } from './source.ts'

/** A function of the job. The compiler never calls it; the lane does, through typed adapters. */
export type JobFunction = (...args: never[]) => unknown

/** A topic as it was given: JavaScript callers may have passed anything. */
export interface DraftTopic {
  topic: unknown
  options: UncheckedOptions
}

export type Step =
  | { kind: 'filter' | 'map' | 'flatMap'; fields: unknown; fn: unknown }
  | { kind: 'keyBy'; field: unknown }
  | { kind: 'dedup'; field: unknown; options: unknown }
  | { kind: 'join'; name: unknown; other: unknown; options: unknown; fn: unknown }
  | { kind: 'joinTable'; name: unknown; other: unknown; options: unknown; fn: unknown }
  | { kind: 'merge'; other: unknown }
  | { kind: 'topN'; name: unknown; options: unknown }
  | { kind: 'process'; name: unknown; options: unknown }
  | { kind: 'window'; name: unknown; window: unknown }
  | { kind: 'aggregate'; aggregates: unknown; options: unknown }
  | { kind: 'reduce'; name: unknown; fn: unknown }
  | { kind: 'branch'; branches: readonly DraftBranch[] }
  | { kind: 'late'; target: unknown }
  | { kind: 'to'; sink: unknown; options: unknown }
  | { kind: 'view'; view: unknown; options: unknown }

/** What becomes of the records that `when` is for, and no branch before it has taken; undefined: of all that are left. */
export interface DraftBranch {
  when: unknown
  /** The steps of a branch, or what was given in their place. */
  steps: readonly Step[] | undefined
}

/** A stream: of a job, or one that joins it. */
export interface StreamDraft {
  source: unknown
  steps: readonly Step[]
  /** What is read are rows of a table. */
  isTable?: boolean
  /** Every instance reads all of it. */
  isGlobal?: boolean
}

export interface Draft extends StreamDraft {
  job: unknown
  options: unknown
}

/** Marks what `stream` and the stages of a job hold, so that a stage can be told from anything else. */
export const DRAFT: unique symbol = Symbol('millrace.draft')

/** The draft behind a stage; undefined: it is none. */
export function draftOf(stage: unknown): StreamDraft | undefined {
  if (typeof stage !== 'object' || stage === null || !(DRAFT in stage)) return undefined
  return stage[DRAFT] as StreamDraft
}
