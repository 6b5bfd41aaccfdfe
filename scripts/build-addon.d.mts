export declare function runNodeGyp(cwd: string, args: string[]): void
export declare function buildAddon(options?: { addressSanitizer?: boolean; force?: boolean }): string
