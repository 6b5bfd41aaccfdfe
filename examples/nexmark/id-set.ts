// A set of ids as plain data, for the state of a custom aggregate: small where the ids are few, and where they are many and close
// together.

/** Either a list of the ids, or a bit for each id from 0 on. */
export interface IdSet {
  size: number
  ids: number[]
  /** Empty while there is a list. */
  words: number[]
}

const WORD_BITS = 32

export function emptyIdSet(): IdSet {
  return { size: 0, ids: [], words: [] }
}

/**
 * Adds an id: a whole number from 0 on. The list becomes bits when they take no more words than it has ids.
 *
 * @example
 * const bidders = emptyIdSet()
 * addId(bidders, 1_007)
 * addId(bidders, 1_007)
 * bidders.size // 1
 */
export function addId(set: IdSet, id: number): void {
  const { ids, words } = set
  if (words.length > 0) {
    if (addBit(words, id)) set.size++
    return
  }
  if (ids.includes(id)) return
  ids.push(id)
  set.size++
  if (ids.length * WORD_BITS <= ids.reduce((a, b) => Math.max(a, b))) return
  for (const each of ids) addBit(words, each)
  set.ids = []
}

/** False when it is there already. */
function addBit(words: number[], id: number): boolean {
  const at = Math.floor(id / WORD_BITS)
  while (words.length <= at) words.push(0)
  const bit = 1 << (id % WORD_BITS)
  if ((words[at]! & bit) !== 0) return false
  words[at]! |= bit
  return true
}
