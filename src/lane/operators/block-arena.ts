// Memory of blocks of bytes that grow and go: large chunks, and in them places that are used again. Runs on a lane, owned by one side of
// a join. Hot.
// Keeps SPEC: LIMIT-1 (what is kept has a size: places that are free are used again, and chunks without a block in use are let go).

/*
 *   chunk 0   |  block of 1 KiB  |  free  |      block of 2 KiB      | ...
 *   chunk 1   ...
 *
 * Rooms are powers of two. A place is a number: that of its chunk, and which of the chunk's units it begins with. A block that is too
 * large to share a chunk has one of its own.
 */
const UNIT_BYTES = 256
const CHUNK_BYTES = 1 << 16
const CHUNK_UNITS = CHUNK_BYTES / UNIT_BYTES
const SHARED_BYTES_MAX = CHUNK_BYTES / 8
/** Chunks without a block in use are looked for when so much is free, and again when twice as much is as was then left. */
const FREE_BYTES_MIN = 8 * CHUNK_BYTES
const NO_BYTES = new Uint8Array(0)
const NO_VIEW = new DataView(NO_BYTES.buffer)

/** The room that so many bytes get. */
export function roomFor(bytes: number): number {
  return bytes <= UNIT_BYTES ? UNIT_BYTES : 2 ** Math.ceil(Math.log2(bytes))
}

/**
 * Rooms for blocks.
 *
 * @example
 * const place = arena.take(roomFor(bytes))
 * arena.bytesAt(place)[arena.startOf(place)] = 1
 * arena.release(place, roomFor(bytes))
 */
export class BlockArena {
  /** Of all chunks. */
  bytes = 0
  readonly #chunks: Uint8Array[] = []
  readonly #views: DataView[] = []
  /** By chunk: bytes of it in use. */
  readonly #used: number[] = []
  /** Numbers of chunks that were let go. */
  readonly #gone: number[] = []
  /** Places by room. */
  readonly #free = new Map<number, number[]>()
  #freeBytes = 0
  #trimBytes = FREE_BYTES_MIN
  /** The chunk that is being filled, and where its unused rest begins. */
  #open = -1
  #openAt = CHUNK_BYTES

  bytesAt(place: number): Uint8Array {
    return this.#chunks[Math.floor(place / CHUNK_UNITS)]!
  }
  viewAt(place: number): DataView {
    return this.#views[Math.floor(place / CHUNK_UNITS)]!
  }
  /** Where the place begins in its bytes. */
  startOf(place: number): number {
    return (place % CHUNK_UNITS) * UNIT_BYTES
  }

  /** A place of a room, which `roomFor` gave. What is in it is of those who had it before. */
  take(room: number): number {
    const place = room > SHARED_BYTES_MAX ? this.#newChunk(room) * CHUNK_UNITS : this.#takeShared(room)
    this.#used[Math.floor(place / CHUNK_UNITS)]! += room
    return place
  }

  /** The place may be given to others. */
  release(place: number, room: number): void {
    const chunk = Math.floor(place / CHUNK_UNITS)
    this.#used[chunk]! -= room
    if (room > SHARED_BYTES_MAX) {
      this.#letGo(chunk)
      return
    }
    this.#addFree(place, room)
    if (this.#freeBytes > this.#trimBytes) this.#trim()
  }

  #takeShared(room: number): number {
    const free = this.#free.get(room)
    if (free !== undefined && free.length > 0) {
      this.#freeBytes -= room
      return free.pop()!
    }
    if (this.#openAt + room > CHUNK_BYTES) {
      this.#freeRest()
      this.#open = this.#newChunk(CHUNK_BYTES)
      this.#openAt = 0
    }
    const place = this.#open * CHUNK_UNITS + this.#openAt / UNIT_BYTES
    this.#openAt += room
    return place
  }

  /** The rest of the open chunk, which is too small for what is asked, in the rooms that fit. */
  #freeRest(): void {
    while (this.#openAt < CHUNK_BYTES) {
      const room = Math.min(SHARED_BYTES_MAX, 2 ** Math.floor(Math.log2(CHUNK_BYTES - this.#openAt)))
      this.#addFree(this.#open * CHUNK_UNITS + this.#openAt / UNIT_BYTES, room)
      this.#openAt += room
    }
  }

  #addFree(place: number, room: number): void {
    let free = this.#free.get(room)
    if (free === undefined) {
      free = []
      this.#free.set(room, free)
    }
    free.push(place)
    this.#freeBytes += room
  }

  #newChunk(bytes: number): number {
    const chunk = this.#gone.pop() ?? this.#chunks.length
    const memory = new Uint8Array(bytes)
    this.#chunks[chunk] = memory
    this.#views[chunk] = new DataView(memory.buffer)
    this.#used[chunk] = 0
    this.bytes += bytes
    return chunk
  }

  #letGo(chunk: number): void {
    this.bytes -= this.#chunks[chunk]!.length
    this.#chunks[chunk] = NO_BYTES
    this.#views[chunk] = NO_VIEW
    this.#gone.push(chunk)
  }

  /** Lets chunks go that have no block in use. */
  #trim(): void {
    const isIdle = this.#used.map(
      (used, chunk) => used === 0 && chunk !== this.#open && this.#chunks[chunk]!.length === CHUNK_BYTES,
    )
    this.#freeBytes = 0
    for (const [room, places] of this.#free) {
      const left = places.filter((place) => !isIdle[Math.floor(place / CHUNK_UNITS)])
      this.#free.set(room, left)
      this.#freeBytes += left.length * room
    }
    for (const [chunk, idle] of isIdle.entries()) if (idle) this.#letGo(chunk)
    this.#trimBytes = Math.max(FREE_BYTES_MIN, this.#freeBytes * 2)
  }
}
