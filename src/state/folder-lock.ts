// A lock on a folder that the operating system frees with its process: a listening Unix socket. Runs on the main thread.
// Keeps SPEC: STATE-10 (one process a folder; the lock of a dead process does not block).

import { randomUUID } from 'node:crypto'
import { link, open, readdir, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'

/*
 * Process ids are no proof: two containers that share the folder are both process 1, and ids are used again. A socket is:
 * whoever connects to its file learns from the kernel whether a living process listens, across containers of a machine,
 * and a process killed with -9 listens no more.
 *
 *   1 list the lock files lock.<n>.sock; connect to the highest: somebody listens -> the folder is taken
 *   2 listen on a socket of our own and link it as lock.<n + 1>.sock; link fails when the name exists -> again from 1
 *   3 list again: a higher one is there -> take ours back, again from 1
 *   4 delete the lower ones, which are dead
 *
 * Two that come at once cannot both win: of two that link, the second to list sees both, and the lower number gives way.
 */
const LOCK_NAME = /^lock\.(\d+)\.sock$/
const ATTEMPTS_MAX = 100
/** sun_path holds 108 bytes on Linux and 104 elsewhere; Linux has a shorter name for any folder that is open. */
const SOCKET_PATH_BYTES_MAX = 100
const CONNECT_WAIT_MS_MAX = 2000

/** Takes the lock: the function that frees it, or undefined when a living process has it. */
export async function acquireFolderLock(folder: string): Promise<(() => Promise<void>) | undefined> {
  const handle = await open(folder, 'r')
  const own = `lock.${randomUUID()}`
  const socketPath = (name: string): string => {
    const path = join(folder, name)
    return Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX ? path : `/proc/self/fd/${handle.fd}/${name}`
  }
  const server = await listenOn(socketPath(own)).catch(async (error) => {
    await handle.close()
    throw error
  })
  let isLetGo = false
  const letGo = async (name: string): Promise<void> => {
    if (isLetGo) return
    isLetGo = true
    await rm(join(folder, name), { force: true })
    await closeServer(server)
    await handle.close()
  }
  try {
    const name = await linkHighest(folder, own, (other) => isListenedOn(socketPath(other)))
    if (name === undefined) {
      await letGo(own)
      return undefined
    }
    await rm(join(folder, own)) // the socket goes on under the lock's name
    return () => letGo(name)
  } catch (error) {
    await letGo(own)
    throw error
  }
}

/** Steps 1 to 4. The name under which our socket is the lock, or undefined when the folder is taken. */
async function linkHighest(
  folder: string,
  own: string,
  isAlive: (name: string) => Promise<boolean>,
): Promise<string | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const highest = Math.max(0, ...(await lockNumbers(folder)))
    if (highest > 0 && (await isAlive(lockName(highest)))) return undefined
    const number = highest + 1
    if (!(await linkIfFree(join(folder, own), join(folder, lockName(number))))) continue
    const numbers = await lockNumbers(folder)
    if (Math.max(...numbers) > number) {
      await rm(join(folder, lockName(number)), { force: true })
      continue
    }
    for (const lower of numbers) if (lower < number) await rm(join(folder, lockName(lower)), { force: true })
    return lockName(number)
  }
  throw new Error(`the lock changed hands ${ATTEMPTS_MAX} times while it was tried`)
}

function lockName(number: number): string {
  return `lock.${number}.sock`
}

async function lockNumbers(folder: string): Promise<number[]> {
  const numbers: number[] = []
  for (const name of await readdir(folder)) {
    const match = LOCK_NAME.exec(name)
    if (match !== null) numbers.push(Number(match[1]))
  }
  return numbers
}

async function linkIfFree(existing: string, name: string): Promise<boolean> {
  try {
    await link(existing, name)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function listenOn(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', reject)
    server.listen(path, () => {
      server.unref()
      resolve(server)
    })
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}

/** True when a process listens on the socket, or too many wait to be accepted by one. */
function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const timer = setTimeout(() => answer(true), CONNECT_WAIT_MS_MAX)
    const answer = (isAlive: boolean): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(isAlive)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') answer(false)
      else if (error.code === 'EAGAIN') answer(true)
      else {
        clearTimeout(timer)
        reject(error)
      }
    })
  })
}
