// The id of a stateful operator in state keys: 16 bits of a hash of its name, so that a renamed operator starts empty.
// Runs on a lane; pure.
// Keeps SPEC: PLAN-2 (a changed meaning under an old name is refused, a new name begins anew).

/** 0xffff is the marker's. */
const IDS = 0xffff

/** FNV-1a over the name, folded to 0..0xfffe (0xffff is the marker's). */
export function operatorIdOf(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % IDS
}

/** The id after one, around. */
export function nextOperatorId(id: number): number {
  return (id + 1) % IDS
}
