// Which browser tests and benches of pages start.
import { isExecutable } from './commands.mjs'

const USUAL = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/**
 * That of CHROME_PATH, else an installed one; undefined: there is none. Throws when CHROME_PATH names none.
 *
 * @returns {string | undefined}
 */
export function browserPath() {
  const given = process.env.CHROME_PATH
  if (given === undefined || given === '') return USUAL.find(isExecutable)
  if (isExecutable(given)) return given
  throw new Error(
    `CHROME_PATH names ${given}, which cannot be run: give the path of a Chromium or Chrome, or leave it out`,
  )
}

/** As browserPath; throws where there is none. */
export function neededBrowser() {
  const path = browserPath()
  if (path !== undefined) return path
  throw new Error('there is no Chromium: set CHROME_PATH, or as root apt-get install -y chromium')
}
