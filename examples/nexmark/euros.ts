// Dollars in euros, as q1 and q14 convert them.

/** At 0.908 a dollar; the number next to the exact decimal, since a whole price times 908 is exact. */
export function euros(dollars: number): number {
  return (dollars * 908) / 1_000
}
