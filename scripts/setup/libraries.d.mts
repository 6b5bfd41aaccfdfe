export interface Library {
  header: string
  debian: string
  isNeeded: boolean
  what: string
}
export const LIBRARIES: readonly Library[]
export function missingLibraries(isThere?: (header: string) => boolean): Library[]
export function aptLine(libraries: readonly Library[]): string
export function hasZstd(): boolean
