// Numbers and times as texts. All of one kind are equally long where they can be: what changes does not push what stands beside it.

const priceFormat = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
const wholeFormat = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const shortFormat = new Intl.NumberFormat('en-US', {
  notation: 'compact',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
})

export const price = (value: number): string => priceFormat.format(value)
export const whole = (value: number): string => wholeFormat.format(value)
export const short = (value: number): string => (value < 1000 ? whole(value) : shortFormat.format(value))

/** `+1.25 %`, with a true minus. */
export function percent(share: number): string {
  const text = Math.abs(share * 100).toFixed(2)
  if (text === '0.00') return '0.00 %'
  return `${share > 0 ? '+' : '−'}${text} %`
}

export function deltaClass(share: number): string {
  if (Math.abs(share) < 0.00005) return 'flat'
  return share > 0 ? 'rise' : 'fall'
}

export function millis(value: number): string {
  return value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`
}

/** The zone in which times are told, everywhere on the page. */
export type Zone = 'UTC' | 'local'

let zone: Zone = 'UTC'
export const zoneNow = (): Zone => zone
export function setZone(next: Zone): void {
  zone = next
}

/** `UTC`, or how far the zone of this device is from it: `UTC+2`. */
export function zoneName(): string {
  if (zone === 'UTC') return 'UTC'
  const minutes = -new Date().getTimezoneOffset()
  const sign = minutes < 0 ? '−' : '+'
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
  return `UTC${sign}${hours}${rest === 0 ? '' : `:${String(rest).padStart(2, '0')}`}`
}

const two = (value: number): string => String(value).padStart(2, '0')

export function clock(timeMs: number, withSeconds = true): string {
  const at = shifted(timeMs)
  const minutes = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`
  return withSeconds ? `${minutes}:${two(at.getUTCSeconds())}` : minutes
}

export function day(timeMs: number): string {
  const at = shifted(timeMs)
  return `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`
}

/** A time whose UTC parts are those of the zone. */
function shifted(timeMs: number): Date {
  return new Date(zone === 'UTC' ? timeMs : timeMs - new Date(timeMs).getTimezoneOffset() * 60_000)
}
