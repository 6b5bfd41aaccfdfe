// The numbers of the end-to-end bench from its rounds: medians, ratios, and which targets they meet. Pure.
import { median, rounded } from './report.ts'

/** What one process of one round took, from its first fetch to the commit of its last record (the floor: last count). */
export interface Cost {
  records: number
  elapsedMs: number
  cpuMicros: number
  rssBytesMax: number
}

export interface Round {
  /** One client. */
  floor: Cost
  /** As many clients as the job has: what fetching alone can reach here. */
  wideFloor: Cost
  job: Cost
  loop: Cost
}

/**
 * What the design aims at. Ratios of one run on one machine: absolute numbers move with the machine, these hardly do.
 * - `floorShare`: throughput over that of only fetching and counting with the same addon, by one client; `wideFloorShare` is
 *   over that of two, as the job itself fetches, and has no target
 * - `cpuFloorFactor`: CPU a record over that of the floor
 * - `loopFactor`: throughput over that of a hand-written kafkajs loop, which is only at least once
 * - `cpuLoopShare`: CPU a record over that of the loop
 */
export const TARGETS = {
  floorShareMin: 0.75,
  cpuFloorFactorMax: 1.5,
  loopFactorMin: 5,
  cpuLoopShareMax: 0.25,
  rssBytesMax: 600_000_000,
} as const

export interface E2eNumbers {
  recordsPerSecond: number
  cpuMicrosPerRecord: number
  rssBytesMax: number
  floorRecordsPerSecond: number
  floorCpuMicrosPerRecord: number
  wideFloorRecordsPerSecond: number
  wideFloorCpuMicrosPerRecord: number
  wideFloorShare: number
  loopRecords: number
  loopRecordsPerSecond: number
  loopCpuMicrosPerRecord: number
  floorShare: number
  cpuFloorFactor: number
  loopFactor: number
  cpuLoopShare: number
  targets: Record<'floorShare' | 'cpuFloorFactor' | 'loopFactor' | 'cpuLoopShare' | 'rssBytesMax', boolean>
}

/** Records a second. */
export function rate({ records, elapsedMs }: Cost): number {
  return (records * 1_000) / Math.max(1, elapsedMs)
}
/** CPU a record, microseconds. */
export function cpu({ records, cpuMicros }: Cost): number {
  return cpuMicros / Math.max(1, records)
}

/** A cost in words. */
export function costText(cost: Cost): string {
  return `${Math.round(rate(cost))} records/s, ${cpu(cost).toFixed(3)} us of CPU a record`
}

/** Medians over the rounds. Ratios are medians of each round's own ratio: what disturbed a round disturbed all of it. */
export function e2eNumbers(rounds: readonly Round[]): E2eNumbers {
  const over = (value: (round: Round) => number): number => median(rounds.map(value))
  const floorShare = over(({ floor, job }) => rate(job) / rate(floor))
  const cpuFloorFactor = over(({ floor, job }) => cpu(job) / cpu(floor))
  const loopFactor = over(({ loop, job }) => rate(job) / rate(loop))
  const cpuLoopShare = over(({ loop, job }) => cpu(job) / cpu(loop))
  const rssBytesMax = Math.max(...rounds.map(({ job }) => job.rssBytesMax))
  return {
    recordsPerSecond: Math.round(over(({ job }) => rate(job))),
    cpuMicrosPerRecord: rounded(over(({ job }) => cpu(job))),
    rssBytesMax,
    floorRecordsPerSecond: Math.round(over(({ floor }) => rate(floor))),
    floorCpuMicrosPerRecord: rounded(over(({ floor }) => cpu(floor))),
    wideFloorRecordsPerSecond: Math.round(over(({ wideFloor }) => rate(wideFloor))),
    wideFloorCpuMicrosPerRecord: rounded(over(({ wideFloor }) => cpu(wideFloor))),
    wideFloorShare: rounded(over(({ wideFloor, job }) => rate(job) / rate(wideFloor))),
    loopRecords: rounds[0]?.loop.records ?? 0,
    loopRecordsPerSecond: Math.round(over(({ loop }) => rate(loop))),
    loopCpuMicrosPerRecord: rounded(over(({ loop }) => cpu(loop))),
    floorShare: rounded(floorShare),
    cpuFloorFactor: rounded(cpuFloorFactor),
    loopFactor: rounded(loopFactor),
    cpuLoopShare: rounded(cpuLoopShare),
    targets: {
      floorShare: floorShare >= TARGETS.floorShareMin,
      cpuFloorFactor: cpuFloorFactor <= TARGETS.cpuFloorFactorMax,
      loopFactor: loopFactor >= TARGETS.loopFactorMin,
      cpuLoopShare: cpuLoopShare <= TARGETS.cpuLoopShareMax,
      rssBytesMax: rssBytesMax <= TARGETS.rssBytesMax,
    },
  }
}
