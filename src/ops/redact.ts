// The secrets of this process, and text without them: the last gate before anything is written. Main thread.
// Keeps SPEC: CONFIG-3 (secrets are never shown, whatever an error text or a job holds).

/** A shorter secret is not looked for in texts: it would be found in words and numbers that have nothing to do with it. */
const SECRET_LENGTH_MIN = 6
/** A line of a longer secret (a PEM key) is looked for alone, too. */
const LINE_LENGTH_MIN = 20
const MASK = '***'

/** Longest first, so that a secret within another leaves no rest. A few per process: those of its configuration. */
let hidden: string[] = []

/**
 * From now on these values are masked in everything that goes through `redacted`, as they are and as JSON and URLs write
 * them.
 */
export function hideSecrets(values: Iterable<string>): void {
  const all = new Set(hidden)
  for (const value of values) for (const form of formsOf(value)) all.add(form)
  hidden = [...all].sort((a, b) => b.length - a.length)
}

/**
 * The text without any secret of this process.
 *
 * @example
 * hideSecrets(['hunter22'])
 * redacted('login me:hunter22 failed') // 'login me:*** failed'
 */
export function redacted(text: string): string {
  let result = text
  for (const secret of hidden) result = result.replaceAll(secret, MASK)
  return result
}

function formsOf(value: string): string[] {
  const lines = value.split(/\r?\n/).filter((line) => line.length >= LINE_LENGTH_MIN)
  const escaped = JSON.stringify(value).slice(1, -1)
  return [value, escaped, encodeURIComponent(value), ...lines].filter((form) => form.length >= SECRET_LENGTH_MIN)
}
