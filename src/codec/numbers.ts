// Numbers to bytes, without a string where it matters. Hot: no object a number.
// Runs on a lane.
// Keeps SPEC: CODEC-6 (a number is read back as the same number; one that the format cannot say is null).

import { viewOf } from './byte-view.ts'

/**
 * Writes a number as msgpack: integers of up to 32 bits as integers, everything else as float64 (readers in JavaScript
 * give a bigint for a 64-bit integer, and times in ms would then be no numbers). NaN is nil. Returns the end.
 */
export function writeNumberMsgpack(target: Uint8Array, at: number, value: number): number {
  if (value >= -0x80000000 && value <= 0xffffffff && value === Math.floor(value)) {
    return writeIntegerMsgpack(target, at, value)
  }
  if (Number.isNaN(value)) {
    target[at] = 0xc0
    return at + 1
  }
  target[at] = 0xcb
  viewOf(target).setFloat64(at + 1, value)
  return at + 9
}

function writeIntegerMsgpack(target: Uint8Array, at: number, value: number): number {
  if (value >= 0) {
    if (value < 0x80) {
      target[at] = value
      return at + 1
    }
    if (value < 0x100) return writeBigEndian(target, at, 0xcc, value, 1)
    if (value < 0x10000) return writeBigEndian(target, at, 0xcd, value, 2)
    return writeBigEndian(target, at, 0xce, value, 4)
  }
  if (value >= -0x20) {
    target[at] = value & 0xff
    return at + 1
  }
  if (value >= -0x80) return writeBigEndian(target, at, 0xd0, value, 1)
  if (value >= -0x8000) return writeBigEndian(target, at, 0xd1, value, 2)
  return writeBigEndian(target, at, 0xd2, value, 4)
}

function writeBigEndian(target: Uint8Array, at: number, type: number, value: number, bytes: number): number {
  target[at] = type
  for (let i = bytes; i > 0; i--) {
    target[at + i] = value & 0xff
    value >>= 8
  }
  return at + 1 + bytes
}

/** Writes a number as JSON writes it; NaN and infinities are `null`. Returns the end. */
export function writeNumberText(target: Uint8Array, at: number, value: number): number {
  if (Number.isSafeInteger(value)) return writeDigits(target, at, value)
  const text = Number.isFinite(value) ? String(value) : 'null'
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i)
  return at + text.length
}

/** Writes an integer within ±2^53 in decimal. Returns the end. */
export function writeDigits(target: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    target[at++] = 0x2d
    value = -value
  }
  let digits = 1
  for (let bound = 10; value >= bound; bound *= 10) digits++
  for (let i = digits - 1; i >= 0; i--) {
    const rest = Math.floor(value / 10)
    target[at + i] = 0x30 + (value - rest * 10)
    value = rest
  }
  return at + digits
}
