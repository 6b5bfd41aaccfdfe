// Where a command's words go: data to stdout, people's words to stderr, one status line that is redrawn. Main thread.
// Keeps SPEC: CLI-1 (data on stdout, words on stderr), CONFIG-3 (no secret is in either).

import { redacted } from '../ops/redact.ts'

export interface Streams {
  stdout: { write(text: string): unknown }
  stderr: { write(text: string): unknown; isTTY?: boolean }
}

const CLEAR_LINE = '\r\u001b[2K'

/** The two streams of a command. On a terminal the status line stays below everything else. */
export class Terminal {
  readonly isTerminal: boolean
  readonly #streams: Streams
  #status = ''

  constructor(streams: Streams) {
    this.#streams = streams
    this.isTerminal = streams.stderr.isTTY === true
  }
  /** A line of data. */
  data(line: string): void {
    this.#streams.stdout.write(`${redacted(line)}\n`)
  }
  /** A line for people, above the status line. */
  say(line: string): void {
    this.write(`${line}\n`)
  }
  /** Text for people that ends its own lines (logs). */
  write(written: string): void {
    const text = redacted(written)
    if (this.#status === '') this.#streams.stderr.write(text)
    else this.#streams.stderr.write(`${CLEAR_LINE}${text}${this.#status}`)
  }
  /** Redraws the status line; where there is no terminal it is a line like others. */
  status(line: string): void {
    if (!this.isTerminal) {
      this.say(line)
      return
    }
    this.#status = line
    this.#streams.stderr.write(`${CLEAR_LINE}${line}`)
  }
  /** Leaves the status line as it stands and goes below it. */
  endStatus(): void {
    if (this.#status !== '') this.#streams.stderr.write('\n')
    this.#status = ''
  }
}
