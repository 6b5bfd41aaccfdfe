// Bytes in a cell of a row that may lie in memory with others: stored as the bytes they are. Runs on a lane, owned by the row. Hot.

/** `bytes[start .. start + length)`. */
export class ByteCell {
  bytes: Uint8Array
  start: number
  length: number

  constructor(bytes: Uint8Array, start: number, length: number) {
    this.bytes = bytes
    this.start = start
    this.length = length
  }
}
