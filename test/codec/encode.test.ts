// Values that functions of a job made, as sinks write them. Holds SPEC: CODEC-5.
import { unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import { encodeValue } from '../../src/codec/encode.ts'

const asJson = (value: unknown): unknown => JSON.parse(new TextDecoder().decode(encodeValue('json', value)))

test('undefined is nil in msgpack, and what JSON.stringify makes of it in JSON', () => {
  expect(unpack(encodeValue('msgpack', undefined))).toBeNull()
  expect(unpack(encodeValue('msgpack', { a: undefined, b: [undefined] }))).toEqual({ a: null, b: [null] })
  expect(asJson(undefined)).toBeNull()
  expect(asJson({ a: undefined, b: [undefined] })).toEqual({ b: [null] })
})

test('a bigint is its digits as text in JSON, and a 64-bit integer in msgpack', () => {
  expect(asJson({ n: 2n ** 70n, m: [-1n] })).toEqual({ n: '1180591620717411303424', m: ['-1'] })
  expect(unpack(encodeValue('msgpack', 2n ** 62n))).toBe(2n ** 62n)
  expect(() => encodeValue('msgpack', 2n ** 70n)).toThrow()
})

test('a circular value is refused, not written in part', () => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  expect(() => encodeValue('json', circular)).toThrow()
})

test('objects of one shape are plain maps, which any reader of msgpack knows', () => {
  const bytes = encodeValue('msgpack', { a: 1 })
  expect([...bytes]).toEqual([0x81, 0xa1, 0x61, 0x01])
})
