// The errors of records, MR2xxx: a part of the table. Runs on every thread; pure.
// Keeps SPEC: ERR-1 (table, docs and code are equal), DLQ-1 (a bad record is never lost).

import type { ErrorRow } from './error-row.ts'

export const RECORD_ERRORS = {
  MR2001: {
    action: 'divert',
    text: 'The value could not be decoded as {format}: {reason}',
    remedy: 'Look at the original bytes in the dead-letter record; mend the producer or the declared format.',
  },
  MR2002: {
    action: 'divert',
    text: 'The value is {bytes} bytes, over the limit of {limit}.',
    remedy: 'Raise `limits.valueBytesMax` or produce smaller records.',
  },
  MR2003: {
    action: 'divert',
    text: 'The value is nested deeper than {limit} levels or has more than {nodes} nodes.',
    remedy: 'Raise `limits.decodeDepthMax` or `limits.decodeNodesMax` if such records are meant.',
  },
  MR2004: {
    action: 'divert',
    text: 'The event time {eventTimeMs} is more than {limitMs} ms away from the record time {recordTimeMs}.',
    remedy: 'Mend the clock of the producer, or change `maxFuture` / `maxPast` of the source.',
  },
  MR2005: {
    action: 'divert',
    text: 'The Kafka key is not the declared key field {field}.',
    remedy: 'Produce with the value of that field as the key, or declare another `key`.',
  },
  MR2006: {
    action: 'divert',
    text: 'The field {field} is missing or is not a {expected}.',
    remedy: 'Mend the producer, or filter such records before the operator that needs the field.',
  },
  MR2007: {
    action: 'divert',
    text: 'The key is {bytes} bytes, over the limit of {limit}.',
    remedy: 'Use a shorter key; state keys are limited so that every store can hold them.',
  },
  MR2008: {
    action: 'divert',
    text: 'A function of the job threw on this record: {reason}',
    remedy: 'Mend the function; the dead-letter record has the original bytes to try again with.',
  },
  MR2009: {
    action: 'divert',
    text: 'The integer in {field} is outside ±2^53 and would lose digits.',
    remedy: 'Send it as a string, or aggregate another field.',
  },
  MR2010: {
    action: 'divert',
    text: 'The result of this record is {bytes} bytes, over max.message.bytes {limit} of topic {topic}.',
    remedy:
      'Make the result smaller, or raise max.message.bytes of the topic (and `kafka.message.max.bytes`, if it is what limits).',
  },
  MR2011: {
    action: 'divert',
    text: 'The record has no value.',
    remedy: 'Null values (tombstones) carry no event; filter them at the producer.',
  },
  MR2013: {
    action: 'divert',
    text: 'The record of a table has no key.',
    remedy: 'Produce with the key of the row: the newest record of each key is its row.',
  },
  MR2014: {
    action: 'report',
    text: 'A record of the global table {topic} is no row of it: {reason}.',
    remedy: 'It is left out. Look at the topic; mend the producer or the declared format.',
  },
} as const satisfies Record<string, ErrorRow>
