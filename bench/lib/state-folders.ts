// Compares the state folders of two runs row by row. Main thread; nobody else has the folders open.
import { openLmdbBackend } from '../../src/state/lmdb-backend.ts'

export interface FolderComparison {
  isEqual: boolean
  rows: number
  /** Bytes of keys and values. */
  bytes: number
}

const FROM = new Uint8Array(1)
/** The prefix of what is no operator's. */
const TO = Uint8Array.of(0xff, 0xff)

/** Whether two task folders hold the same rows, every byte of them. */
export async function compareFolders(folder: string, other: string, taskId: string): Promise<FolderComparison> {
  const a = await openLmdbBackend({ folder, taskId })
  const b = await openLmdbBackend({ folder: other, taskId })
  try {
    const result: FolderComparison = { isEqual: true, rows: 0, bytes: 0 }
    const others = b.range(FROM, TO)[Symbol.iterator]()
    for (const [key, value] of a.range(FROM, TO)) {
      result.rows++
      result.bytes += key.length + value.length
      const next = others.next()
      const isSame = !next.done && isEqual(next.value[0], key) && isEqual(next.value[1], value)
      if (!isSame) return { ...result, isEqual: false }
    }
    return others.next().done ? result : { ...result, isEqual: false }
  } finally {
    await a.close()
    await b.close()
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
