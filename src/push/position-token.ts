// Positions of a view as clients hold them: opaque, signed, the same on every server of the view. Main thread.
// Keeps SPEC: PUSH-12 (a client goes on at its position on any server, or is told that it cannot).
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** By partition: the next Kafka offset of the view's topic to come. */
export type Offsets = readonly number[]

export interface Place {
  offsets: Offsets
  /** When the server was there, ms since the epoch. */
  timeMs: number
}

const VERSION = 1
const TOPIC_BYTES = 8
const SIGNATURE_BYTES = 10
const HEAD_BYTES = 1 + TOPIC_BYTES

/*
 *   version | 8 bytes that stand for view and topic id | varints: time, number of partitions, offsets | 10 bytes of HMAC-SHA256
 *
 * as base64url. The key of the signature is made of the topic's id, which no client is told, and of a secret, if there is one.
 */
export class PositionTokens {
  readonly #topic: Buffer
  readonly #key: Buffer

  /** `topicId`: Kafka's; a topic that was made anew has another. `secret`: the same on all servers of the view. */
  constructor(view: string, topicId: string, secret: string) {
    this.#topic = createHash('sha256').update(`${view}\n${topicId}`).digest().subarray(0, TOPIC_BYTES)
    this.#key = createHash('sha256').update(`position\n${secret}\n${topicId}`).digest()
  }

  /**
   * @example
   * tokens.write({ offsets: [5, 9], timeMs: 1_750_000_000_000 }) // 'AXk3...'
   */
  write({ offsets, timeMs }: Place): string {
    const body = [VERSION, ...this.#topic]
    for (const number of [Math.floor(timeMs), offsets.length, ...offsets]) pushVarint(body, number)
    const bytes = Buffer.from(body)
    return Buffer.concat([bytes, this.#sign(bytes)]).toString('base64url')
  }

  /** The place of a position, or why it is none of this view. */
  read(text: string): Place | 'not-valid' | 'other-topic' {
    const bytes = Buffer.from(text, 'base64url')
    const end = bytes.length - SIGNATURE_BYTES
    if (end < HEAD_BYTES || bytes[0] !== VERSION) return 'not-valid'
    if (!bytes.subarray(1, HEAD_BYTES).equals(this.#topic)) return 'other-topic'
    const body = bytes.subarray(0, end)
    if (!timingSafeEqual(bytes.subarray(end), this.#sign(body))) return 'not-valid'
    const numbers = readVarints(body, HEAD_BYTES)
    return { timeMs: numbers[0]!, offsets: numbers.slice(2) }
  }

  #sign(body: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(body).digest().subarray(0, SIGNATURE_BYTES)
  }
}

function pushVarint(bytes: number[], number: number): void {
  let rest = number
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
}

/** Of a body that was signed here. */
function readVarints(bytes: Buffer, start: number): number[] {
  const numbers: number[] = []
  let [number, unit] = [0, 1]
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at]!
    number += (byte % 0x80) * unit
    unit *= 0x80
    if (byte >= 0x80) continue
    numbers.push(number)
    number = 0
    unit = 1
  }
  return numbers
}
