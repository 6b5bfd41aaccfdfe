// Metrics of the process itself: memory, CPU, delay of the event loop. Main thread.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Registry } from './metrics.ts'

const LOOP_RESOLUTION_MS = 20

/** Adds the process' metrics to a registry. Returns the function that ends their measuring. */
export function addProcessMetrics(registry: Registry): () => void {
  const rss = registry.gauge('process_resident_memory_bytes', 'Resident memory.')
  const heap = registry.gauge('nodejs_heap_used_bytes', 'Heap in use on the main thread.')
  const cpu = registry.counter('process_cpu_seconds_total', 'User and system CPU time of all threads.')
  const start = registry.gauge('process_start_time_seconds', 'Start of the process, Unix time.')
  const loop = registry.gauge(
    'nodejs_eventloop_delay_seconds_max',
    'Greatest delay of the event loop since the last scrape.',
  )
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  delay.enable()
  start.with().set(Date.now() / 1000 - process.uptime())
  registry.onCollect(() => {
    const used = process.cpuUsage()
    const memory = process.memoryUsage()
    rss.with().set(memory.rss)
    heap.with().set(memory.heapUsed)
    cpu.with().set((used.user + used.system) / 1e6)
    // The monitor counts its own sampling interval into each delay.
    loop.with().set(Math.max(0, delay.max / 1e9 - LOOP_RESOLUTION_MS / 1000))
    delay.reset()
  })
  return () => delay.disable()
}
