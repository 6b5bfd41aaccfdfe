// One limit of bytes that several slab tables share. Runs on a lane.
// Keeps SPEC: LIMIT-1 (memory of state has a limit in bytes).

interface BudgetMember {
  readonly bytes: number
}

/**
 * The memory of all slab tables of a lane.
 *
 * @example
 * const budget = new MemoryBudget(64 << 20)
 * const table = createSlabTable({ ...rest, memoryBytesMax: budget })
 */
export class MemoryBudget {
  readonly bytesMax: number
  readonly #members = new Set<BudgetMember>()

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** How far the members are over the limit, in bytes; 0 or less when they are within. */
  get excessBytes(): number {
    let bytes = -this.bytesMax
    for (const member of this.#members) bytes += member.bytes
    return bytes
  }
  join(member: BudgetMember): void {
    this.#members.add(member)
  }
  leave(member: BudgetMember): void {
    this.#members.delete(member)
  }
}
