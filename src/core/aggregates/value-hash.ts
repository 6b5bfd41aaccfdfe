// A hash of texts, numbers and booleans in two halves of 32 bits. Hot: it makes no object.
// Runs on a lane; pure. The same value has the same hash in every process: hashes are part of stored state.
// Keeps SPEC: AGG-11 (the estimate depends on the values alone).

const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)

/** The halves of the hash made last. */
export const hash = { high: 0, low: 0 }

/** Hashes a value into `hash`. Values of different types are different: '1', 1 and true. */
export function hashValue(value: unknown): void {
  if (typeof value === 'number') {
    // -0 and 0 are one value.
    double[0] = value + 0
    begin(1)
    take(words[0]!)
    take(words[1]!)
  } else if (typeof value === 'string') {
    begin(2)
    for (let i = 0; i < value.length; i++) take(value.charCodeAt(i))
  } else {
    begin(3)
    take(value === true ? 1 : 0)
  }
  hash.high = mixed(hash.high ^ (hash.low >>> 15))
  hash.low = mixed(hash.low ^ hash.high)
}

function begin(seed: number): void {
  hash.high = 0x9e3779b9 ^ seed
  hash.low = 0x85ebca6b ^ seed
}

function take(word: number): void {
  hash.high = Math.imul(hash.high ^ mixed(word), 0x2c1b3c6d)
  hash.high = (hash.high << 13) | (hash.high >>> 19)
  hash.low = Math.imul(hash.low ^ word ^ hash.high, 0x297a2d39)
  hash.low = (hash.low << 17) | (hash.low >>> 15)
}

/** The finaliser of MurmurHash3: each bit depends on all. */
function mixed(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
  return word ^ (word >>> 16)
}
