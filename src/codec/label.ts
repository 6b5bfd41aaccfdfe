// Fixed bytes of rows (field names, header names), written four at a time. Hot: no object a row.
// Runs on a lane.
// Keeps SPEC: ROW-1 (layout of a row).

import { viewOf } from './byte-view.ts'

/** Bytes laid out once as words. */
export class Label {
  readonly length: number
  readonly words: Int32Array
  /** Room that writing it needs: the last word may run over the end, into bytes that are written next. */
  readonly roomBytes: number

  constructor(bytes: Iterable<number>) {
    const all = [...bytes]
    this.length = all.length
    this.words = new Int32Array(Math.ceil(all.length / 4))
    this.roomBytes = this.words.length * 4
    for (const [i, byte] of all.entries()) this.words[i >> 2]! |= byte << (8 * (i & 3))
  }
}

/** Writes a label into target[at ..) and returns its end. */
export function writeLabel(target: Uint8Array, at: number, label: Label): number {
  const view = viewOf(target)
  const { words } = label
  for (let i = 0; i < words.length; i++) view.setInt32(at + i * 4, words[i]!, true)
  return at + label.length
}
