// What a job needs of memory, part by part, and how limits at their defaults shrink to what there is. Main thread; pure but for
// the reading of the limit. Keeps SPEC: MEMORY-1 (limits fit the memory), MEMORY-2 (what cannot fit is refused).
import { totalmem } from 'node:os'

const MIB = 1024 * 1024

/** Of the memory that there is: the rest is for LMDB's pages in the page cache, which counts against a container too. */
const PLANNED_SHARE = 0.9
/** Node, native code, thread stacks, the main thread's heap without views: ample, two lanes at 20,000 records/s took 154 MB in all. */
export const PROCESS_BYTES = 160 * MIB

/** A limit that takes memory. Below `leastBytes` it is not shrunk: less would not hold a frame, or starve the thread. */
export interface MemoryPart {
  /** A configuration key, `kafka.*` in kilobytes as librdkafka has it. */
  key: string
  leastBytes: number
  /** How often it is there. */
  of: 'process' | 'lane' | 'fetcher'
  /** Views that are served alone take it too. */
  isOfViews?: true
}

/** The parts of the formula in docs/guide/deployment.md; a test holds the two equal. */
export const MEMORY_PARTS: readonly MemoryPart[] = [
  { key: 'limits.laneHeapBytesMax', leastBytes: 64 * MIB, of: 'lane' },
  { key: 'limits.stateMemoryBytesMax', leastBytes: 8 * MIB, of: 'lane' },
  { key: 'limits.laneBytesMax', leastBytes: 8 * MIB, of: 'lane' },
  { key: 'limits.pendingOutputBytesMax', leastBytes: 8 * MIB, of: 'process' },
  { key: 'limits.viewBytesMax', leastBytes: 16 * MIB, of: 'process', isOfViews: true },
  { key: 'kafka.queue.buffering.max.kbytes', leastBytes: 17 * MIB, of: 'process' },
  { key: 'kafka.queued.max.messages.kbytes', leastBytes: 4 * MIB, of: 'fetcher', isOfViews: true },
]

/** One limit as it is configured. */
export interface MemoryLimit {
  bytes: number
  /** Somebody set it: it is not shrunk. */
  isSet: boolean
}

export interface MemoryNeeds {
  /** 0: views are served alone. */
  lanes: number
  areLanesSet: boolean
  /** Kafka clients that read. */
  fetchers: number
  /** By key; a key of MEMORY_PARTS that is missing takes nothing. */
  limits: ReadonlyMap<string, MemoryLimit>
}

export interface MemoryFit {
  lanes: number
  /** Limits that were shrunk, in bytes, by key. */
  shrunk: ReadonlyMap<string, number>
  /** What all parts take together, at their limits. */
  bytes: number
}

/** What there is: the limit of the container (control group), or the machine's memory. In bytes. */
export function availableMemoryBytes(): number {
  const constrained = process.constrainedMemory() as number | undefined
  return Math.min(totalmem(), constrained || Number.POSITIVE_INFINITY)
}

/**
 * Shrinks limits at their defaults, all by the same share of what is above their least, until everything fits into 90 % of
 * `memoryBytes`; then lanes, where nobody set them. Returns the problem in words where that is not enough.
 *
 * @example
 * fitMemory(needs, 512 << 20) // { lanes: 2, shrunk: Map { 'limits.stateMemoryBytesMax' => 33554432, ... }, bytes: ... }
 */
export function fitMemory(needs: MemoryNeeds, memoryBytes: number): MemoryFit | string {
  const planned = Math.floor(memoryBytes * PLANNED_SHARE)
  let { lanes } = needs
  const least = () => totalBytes({ ...needs, lanes }, 0)
  while (!needs.areLanesSet && lanes > 1 && least() > planned) lanes--
  if (least() > planned) {
    const who = lanes === 0 ? 'the views need' : lanes === 1 ? '1 lane needs' : `${lanes} lanes need`
    return (
      `memory: ${who} at least ${mebibytes(least())} MiB with these limits, and ` +
      `there are ${mebibytes(planned)} MiB (90 % of ${mebibytes(memoryBytes)} MiB, limits.memoryBytesMax); give the process more ` +
      'memory, fewer `lanes`, or smaller `limits.*` where you set them'
    )
  }
  const fitted = { ...needs, lanes }
  const most = totalBytes(fitted, 1)
  const share = most <= planned ? 1 : (planned - least()) / (most - least())
  return { lanes, shrunk: shrunkLimits(fitted, share), bytes: totalBytes(fitted, share) }
}

function shrunkLimits(needs: MemoryNeeds, share: number): Map<string, number> {
  const shrunk = new Map<string, number>()
  if (share === 1) return shrunk
  for (const part of MEMORY_PARTS) {
    const limit = needs.limits.get(part.key)
    if (limit === undefined) continue
    const bytes = partBytes(limit, part, share)
    if (bytes !== limit.bytes) shrunk.set(part.key, bytes)
  }
  return shrunk
}

function totalBytes(needs: MemoryNeeds, share: number): number {
  const counts = { process: 1, lane: needs.lanes, fetcher: needs.fetchers }
  let bytes = PROCESS_BYTES
  for (const part of MEMORY_PARTS) {
    const limit = needs.limits.get(part.key)
    if (limit !== undefined) bytes += counts[part.of] * partBytes(limit, part, share)
  }
  return bytes
}

/** A limit between its least (share 0) and what is configured (share 1), in whole KiB. */
function partBytes(limit: MemoryLimit, part: MemoryPart, share: number): number {
  if (limit.isSet || limit.bytes <= part.leastBytes || share === 1) return limit.bytes
  return Math.floor((part.leastBytes + share * (limit.bytes - part.leastBytes)) / 1024) * 1024
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / MIB)
}
