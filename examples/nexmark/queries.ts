// The queries that have a job, each with the oracle that says what the job must give. Tests and the bench go through them.
import type { Complete } from 'millrace'
import { type SideRow, sideInput } from './generator.ts'
import q0 from './jobs/q0.ts'
import q1 from './jobs/q1.ts'
import q2 from './jobs/q2.ts'
import q3 from './jobs/q3.ts'
import q4 from './jobs/q4.ts'
import q5 from './jobs/q5.ts'
import q6 from './jobs/q6.ts'
import q7 from './jobs/q7.ts'
import q8 from './jobs/q8.ts'
import q9 from './jobs/q9.ts'
import q11 from './jobs/q11.ts'
import q12 from './jobs/q12.ts'
import q13, { SIDE_TOPIC } from './jobs/q13.ts'
import q14 from './jobs/q14.ts'
import q15 from './jobs/q15.ts'
import q16 from './jobs/q16.ts'
import q17 from './jobs/q17.ts'
import q18 from './jobs/q18.ts'
import q19 from './jobs/q19.ts'
import q20 from './jobs/q20.ts'
import q21 from './jobs/q21.ts'
import q22 from './jobs/q22.ts'
import * as joins from './oracles/joins.ts'
import type { Oracle } from './oracles/oracle.ts'
import * as reports from './oracles/reports.ts'
import * as selections from './oracles/selections.ts'
import * as windows from './oracles/windows.ts'
import * as winners from './oracles/winners.ts'

export interface Query {
  name: string
  job: Complete
  /** The topic of its rows. */
  topic: string
  oracle: Oracle
  /** A row is true from when it comes until it comes again as retracted. */
  isRetracted?: boolean
  /** What another topic has before the events come, keyed by the field `key`. */
  side?: { topic: string; rows: readonly SideRow[] }
}

function query(name: string, job: Complete, oracle: Oracle): Query {
  return { name, job, topic: `nexmark-${name}`, oracle }
}

const side = sideInput(1)

export const queries: readonly Query[] = [
  query('q0', q0, selections.q0),
  query('q1', q1, selections.q1),
  query('q2', q2, selections.q2),
  query('q3', q3, joins.q3),
  query('q4', q4, winners.q4),
  query('q5', q5, windows.q5),
  query('q6', q6, winners.q6),
  query('q7', q7, windows.q7),
  query('q8', q8, windows.q8),
  query('q9', q9, winners.q9),
  query('q11', q11, windows.q11),
  query('q12', q12, windows.q12),
  { ...query('q13', q13, joins.q13(side)), side: { topic: SIDE_TOPIC, rows: side } },
  query('q14', q14, selections.q14),
  query('q15', q15, reports.q15),
  query('q16', q16, reports.q16),
  query('q17', q17, reports.q17),
  query('q18', q18, reports.q18),
  { ...query('q19', q19, reports.q19), isRetracted: true },
  query('q20', q20, joins.q20),
  query('q21', q21, selections.q21),
  query('q22', q22, selections.q22),
]
