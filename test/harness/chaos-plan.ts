// Which process is killed when, drawn from one seed. Pure.

/** A kill, and how the process after it starts. */
export interface PlannedKill {
  /** `starting`: counted from the start of the process, before or in its restore; `running`: from its first new commit. */
  when: 'starting' | 'running'
  afterMs: number
  /** The restart finds an empty state folder. */
  wipesState: boolean
}

/** A start takes about half a second here: kills from its first tenth to after its end. */
const STARTING_MS = { min: 50, max: 900 }
/** Commits are 5 to 100 ms apart, flushes a second: a moment drawn from this is in the middle of anything. */
const RUNNING_MS = { min: 0, max: 1_500 }

/**
 * Draws kills: a quarter (rounded) hits a process that is starting, half of the restarts (rounded down) lose their state folder.
 *
 * @example
 * drawKills(1, 2) // [{ when: 'running', afterMs: 941, wipesState: true }, { when: ..., wipesState: false }]
 */
export function drawKills(seed: number, count: number): PlannedKill[] {
  const random = mulberry32(seed)
  const starting = shuffledFlags(count, Math.round(count / 4), random)
  const wiped = shuffledFlags(count, count >> 1, random)
  return Array.from({ length: count }, (_, i) => {
    const { min, max } = starting[i] ? STARTING_MS : RUNNING_MS
    return {
      when: starting[i] ? 'starting' : 'running',
      afterMs: Math.round(min + random() * (max - min)),
      wipesState: wiped[i]!,
    }
  })
}

/** What happens to a group of instances next. */
export type GroupEvent =
  /** `starting`: the one that was started last, so long after its start; `running`: any, so long after that one's first commit. */
  | {
      kind: 'kill'
      when: 'starting' | 'running'
      afterMs: number
      /** Which of those that run: a share from 0 to 1. */
      victim: number
      wipesState: boolean
      /** It comes back only after others have taken its partitions over. */
      staysAway: boolean
    }
  /** Asked to stop; for good. */
  | { kind: 'leave'; afterMs: number; victim: number }
  /** A new one, with a new name. */
  | { kind: 'join'; afterMs: number }

/**
 * Draws the events of a group: of the kills a quarter hits an instance that is starting, a fifth of the others stays away, half
 * of all finds an empty state folder afterwards. A tenth as many leaves as kills, each followed by a join.
 *
 * @example
 * drawGroupEvents(1, 50) // 60 events
 */
export function drawGroupEvents(seed: number, kills: number): GroupEvent[] {
  const random = mulberry32(seed + 1_000_003)
  const away = shuffledFlags(kills, Math.max(1, Math.round((kills * 3) / 20)), random)
  const events: GroupEvent[] = drawKills(seed, kills).map((kill, i) => ({
    kind: 'kill',
    ...kill,
    when: away[i] ? 'running' : kill.when,
    victim: random(),
    staysAway: away[i]!,
  }))
  const pairs = Math.max(1, Math.round(kills / 10))
  const places = Array.from({ length: pairs * 2 }, () => Math.floor(random() * (events.length + 1))).sort(
    (a, b) => b - a,
  )
  places.forEach((place, i) => {
    const afterMs = Math.round(random() * RUNNING_MS.max)
    // From the back to the front, so that a leave comes before its join.
    events.splice(place, 0, i % 2 === 0 ? { kind: 'join', afterMs } : { kind: 'leave', afterMs, victim: random() })
  })
  return events
}

/** `count` flags, `set` of them true, in a drawn order (Fisher and Yates). */
function shuffledFlags(count: number, set: number, random: () => number): boolean[] {
  const flags = Array.from({ length: count }, (_, i) => i < set)
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1))
    const flag = flags[i]!
    flags[i] = flags[other]!
    flags[other] = flag
  }
  return flags
}

/** A small generator of numbers in [0, 1): the same ones for a seed for ever. */
function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
