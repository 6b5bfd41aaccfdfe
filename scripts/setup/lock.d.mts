/** Takes the lock, waiting for another owner to let go. Resolves with the function that lets go of it. */
export function takeLock(path: string, waiting: (pid: string) => void): Promise<() => void>
