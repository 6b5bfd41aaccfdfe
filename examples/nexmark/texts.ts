// The texts of Nexmark's events: names, places, sites and their pages, padding. By the seed alone.
import type { Random } from './random.ts'

const FIRST_NAMES = ['Peter', 'Paul', 'Luke', 'John', 'Saul', 'Vicky', 'Kate', 'Julie', 'Sarah', 'Deiter', 'Walter']
const LAST_NAMES = ['Shultz', 'Abrams', 'Spencer', 'White', 'Bartels', 'Walton', 'Smith', 'Jones', 'Noris']
const CITIES = [
  ...['Phoenix', 'Los Angeles', 'San Francisco', 'Boise', 'Portland'],
  ...['Bend', 'Redmond', 'Seattle', 'Kent', 'Cheyenne'],
]
/** Few, so that queries find some even among a few events. */
const STATES = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY']
export const HOT_CHANNELS = ['Google', 'Facebook', 'Baidu', 'Apple']
/** Sites beside the hot ones. */
export const CHANNEL_COUNT = 10_000
/** Of so many pages of a site, one has no `channel_id`. */
const WITHOUT_CHANNEL_ID = 10
const LETTERS = [...'abcdefghijklmnopqrstuvwxyz']
const TEXT_LETTERS_MIN = 3
/** One letter in so many is the special one. */
const SPECIAL_EVERY = 13
/** Padding is a piece of one text, from any place in it. */
const PADDING_LETTERS = 1 << 16
/** Padding is this much shorter or longer than on average, as a share. */
const PADDING_SPREAD = 0.2

export interface Site {
  channel: string
  url: string
}

/** Draws texts. Each call takes the next numbers of `random`, but `site`, which has places of its own. */
export class Texts {
  readonly #random: Random
  readonly #hotSites: readonly Site[]
  readonly #sites: readonly Site[]
  readonly #padding: string

  /** Takes the places of `random` from -1 downwards. */
  constructor(random: Random) {
    this.#random = random
    this.#hotSites = HOT_CHANNELS.map((channel, i) => ({ channel, url: this.#page(-1 - i) }))
    this.#sites = Array.from({ length: CHANNEL_COUNT }, (_, i) => {
      const url = this.#page(-1 - HOT_CHANNELS.length - i)
      const hasId = random.below(WITHOUT_CHANNEL_ID) > 0
      return { channel: `channel-${i}`, url: hasId ? `${url}&channel_id=${random.below(2 ** 31)}` : url }
    })
    random.goTo(-1 - HOT_CHANNELS.length - CHANNEL_COUNT)
    this.#padding = Array.from({ length: PADDING_LETTERS }, () => random.oneOf(LETTERS)).join('')
  }

  personName(): string {
    return `${this.#random.oneOf(FIRST_NAMES)} ${this.#random.oneOf(LAST_NAMES)}`
  }

  emailAddress(): string {
    return `${this.text(7)}@${this.text(5)}.com`
  }

  /** Four groups of four digits. */
  creditCard(): string {
    return Array.from({ length: 4 }, () => String(this.#random.below(10_000)).padStart(4, '0')).join(' ')
  }

  city(): string {
    return this.#random.oneOf(CITIES)
  }

  state(): string {
    return this.#random.oneOf(STATES)
  }

  hotSite(): Site {
    return this.#random.oneOf(this.#hotSites)
  }

  site(): Site {
    return this.#random.oneOf(this.#sites)
  }

  /** 3 to below `letters` letters, some of them the special one, which no text begins or ends with if it is a blank. */
  text(letters: number, special = ' '): string {
    let text = ''
    for (let left = TEXT_LETTERS_MIN + this.#random.below(letters - TEXT_LETTERS_MIN); left > 0; left--) {
      text += this.#random.below(SPECIAL_EVERY) === 0 ? special : this.#random.oneOf(LETTERS)
    }
    return text.trim()
  }

  /** Fills `bytes` up to `bytesMean` on average; nothing when there are more. */
  padding(bytes: number, bytesMean: number): string {
    const mean = bytesMean - bytes
    if (mean <= 0) return ''
    const spread = Math.round(mean * PADDING_SPREAD)
    const length = mean - spread + (spread === 0 ? 0 : this.#random.below(2 * spread))
    const at = this.#random.below(PADDING_LETTERS - length)
    return this.#padding.slice(at, at + length)
  }

  #page(place: number): string {
    this.#random.goTo(place)
    const [first, second, third] = [this.text(5, '_'), this.text(5, '_'), this.text(5, '_')]
    return `https://www.nexmark.com/${first}/${second}/${third}/item.htm?query=1`
  }
}
