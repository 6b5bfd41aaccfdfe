export const PUSH_GLIBC_MIN: string
export const NEEDS_PUSH: readonly string[]
export const NEEDS_COMPILER: readonly string[]
export const NEEDS_PUSH_SUITES: readonly string[]
export function isNewEnough(glibc: string | undefined): boolean
