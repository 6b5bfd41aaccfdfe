export declare function runNodeGyp(cwd: string, args: string[]): void
export declare function buildAddons(options?: { force?: boolean }): string[]
