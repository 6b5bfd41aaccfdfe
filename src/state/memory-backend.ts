// A backend in memory: for jobs without a state folder, for tests and as the twin that keeps LMDB's cases honest.
// Runs on a lane.
// Keeps SPEC: STATE-1 (a write is all or nothing).

import type { Backend } from './contract.ts'
import { compareKeys } from './keys.ts'

/*
 * Rows lie in a sorted array of chunks that are split when they are full: inserts move at most a chunk. Byte strings are
 * compared as bytes and never turned into text.
 */
const CHUNK_ROWS_MAX = 512

interface Chunk {
  keys: Uint8Array[]
  values: Uint8Array[]
}

/**
 * A backend that holds its rows in memory and forgets them with the process.
 *
 * @example
 * const backend = createMemoryBackend()
 * await backend.write([[key, value]], meta)
 */
export function createMemoryBackend(): Backend {
  return new MemoryBackend()
}

class MemoryBackend implements Backend {
  #chunks: Chunk[] = []
  #meta: Uint8Array | undefined

  get(key: Uint8Array): Uint8Array | undefined {
    const chunk = this.#chunks[chunkOf(this.#chunks, key)]
    if (chunk === undefined) return undefined
    const at = lowerBound(chunk.keys, key)
    return at < chunk.keys.length && compareKeys(chunk.keys[at]!, key) === 0 ? chunk.values[at] : undefined
  }

  *range(from: Uint8Array, to: Uint8Array): Generator<[key: Uint8Array, value: Uint8Array]> {
    const chunks = this.#chunks
    for (let c = chunkOf(chunks, from); c < chunks.length; c++) {
      const { keys, values } = chunks[c]!
      for (let i = lowerBound(keys, from); i < keys.length; i++) {
        if (compareKeys(keys[i]!, to) >= 0) return
        yield [keys[i]!, values[i]!]
      }
    }
  }

  firstKeyAtOrAfter(from: Uint8Array): Uint8Array | undefined {
    for (let c = chunkOf(this.#chunks, from); c < this.#chunks.length; c++) {
      const { keys } = this.#chunks[c]!
      const at = lowerBound(keys, from)
      if (at < keys.length) return keys[at]
    }
    return undefined
  }

  async write(rows: Iterable<[key: Uint8Array, value: Uint8Array | undefined]>, meta: Uint8Array): Promise<void> {
    // All rows are taken before the first is put: an iterable that throws midway leaves the backend as it was.
    const taken = Array.from(rows, ([key, value]) => ({ key: key.slice(), value: value?.slice() }))
    for (const { key, value } of taken) {
      if (value === undefined) this.#remove(key)
      else this.#put(key, value)
    }
    this.#meta = meta.slice()
  }

  meta(): Uint8Array | undefined {
    return this.#meta
  }

  async wipe(): Promise<void> {
    this.#chunks = []
    this.#meta = undefined
  }

  async close(): Promise<void> {}

  #put(key: Uint8Array, value: Uint8Array): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push({ keys: [key], values: [value] })
      return
    }
    const c = Math.min(chunkOf(this.#chunks, key), this.#chunks.length - 1)
    const chunk = this.#chunks[c]!
    const at = lowerBound(chunk.keys, key)
    if (at < chunk.keys.length && compareKeys(chunk.keys[at]!, key) === 0) chunk.values[at] = value
    else {
      chunk.keys.splice(at, 0, key)
      chunk.values.splice(at, 0, value)
      if (chunk.keys.length > CHUNK_ROWS_MAX) this.#split(c)
    }
  }

  #split(c: number): void {
    const chunk = this.#chunks[c]!
    const half = chunk.keys.length >> 1
    this.#chunks.splice(c + 1, 0, { keys: chunk.keys.splice(half), values: chunk.values.splice(half) })
  }

  #remove(key: Uint8Array): void {
    const c = chunkOf(this.#chunks, key)
    const chunk = this.#chunks[c]
    if (chunk === undefined) return
    const at = lowerBound(chunk.keys, key)
    if (at >= chunk.keys.length || compareKeys(chunk.keys[at]!, key) !== 0) return
    chunk.keys.splice(at, 1)
    chunk.values.splice(at, 1)
    if (chunk.keys.length === 0) this.#chunks.splice(c, 1)
  }
}

/** The first chunk whose last key is at or above `key`; the number of chunks when there is none. */
function chunkOf(chunks: readonly Chunk[], key: Uint8Array): number {
  let low = 0
  let high = chunks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const keys = chunks[middle]!.keys
    if (compareKeys(keys[keys.length - 1]!, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function lowerBound(keys: readonly Uint8Array[], key: Uint8Array): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(keys[middle]!, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
