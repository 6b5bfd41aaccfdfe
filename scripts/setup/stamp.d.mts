/** A hash over files and folders (recursively, names and contents). */
export function hashOf(paths: string[], ...more: unknown[]): string
export function isStamped(path: string, key: string): boolean
export function writeStamp(path: string, key: string): void
export function removeStamp(path: string): void
