// Hot path: CRC32C (Castagnoli) over ranges of bytes, eight bytes a step, without an allocation. Any thread; pure.
// Keeps SPEC: STATE-6 (damage is never read as state).

const POLYNOMIAL_REVERSED = 0x82f63b78
const TABLE = makeTables()

/** Eight tables of 256: table k gives the effect of a byte that is k bytes before the end of the step. */
function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL_REVERSED : 0)
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const previous = tables[at - 256]!
    tables[at] = (previous >>> 8) ^ tables[previous & 0xff]!
  }
  return tables
}

/**
 * The CRC32C of source[start .. end) as an unsigned number. `seed` is the CRC of what comes before, to go on from it.
 *
 * @example
 * crc32c(new TextEncoder().encode('123456789'), 0, 9) // 0xe3069283
 */
export function crc32c(source: Uint8Array, start: number, end: number, seed = 0): number {
  const table = TABLE
  let crc = ~seed
  let at = start
  for (; at + 8 <= end; at += 8) {
    const low = crc ^ (source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24))
    crc =
      table[1792 + (low & 0xff)]! ^
      table[1536 + ((low >>> 8) & 0xff)]! ^
      table[1280 + ((low >>> 16) & 0xff)]! ^
      table[1024 + (low >>> 24)]! ^
      table[768 + source[at + 4]!]! ^
      table[512 + source[at + 5]!]! ^
      table[256 + source[at + 6]!]! ^
      table[source[at + 7]!]!
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ table[(crc ^ source[at]!) & 0xff]!
  return ~crc >>> 0
}
