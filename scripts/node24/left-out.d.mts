export const PUSH_GLIBC_MIN: string
export const NEEDS_PUSH: readonly string[]
export function leftOut(glibc: string | undefined): readonly string[]
