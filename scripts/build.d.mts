/** Builds dist/, or another folder. */
export function buildDist(outdir?: string): Promise<void>
