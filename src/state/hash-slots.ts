// Growing an open-addressing table of { hash, id + 1 } pairs, which the key table and the row layers share. Runs on a lane.
// Keeps SPEC: STATE-4.

/** Twice the slots, each pair where it is found first. A slot whose id is 0 is free; a mask is the slot count less one. */
export function grownSlots(old: Int32Array): Int32Array<ArrayBuffer> {
  const mask = old.length - 1
  const slots = new Int32Array(old.length * 2)
  for (let at = 0; at < old.length; at += 2) {
    if (old[at + 1] === 0) continue
    let slot = old[at]! & mask
    while (slots[slot * 2 + 1] !== 0) slot = (slot + 1) & mask
    slots[slot * 2] = old[at]!
    slots[slot * 2 + 1] = old[at + 1]!
  }
  return slots
}
