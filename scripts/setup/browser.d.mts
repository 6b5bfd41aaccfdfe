export function browserPath(): string | undefined
export function neededBrowser(): string
