// Two push servers on one view whose row A changes all the time: one for everybody, one that wants tokens. Runs in a process of its own, so
// that a test sees it end. Says its ports on stderr, and ends by itself where its parent could not end it.
import { createMemoryKafka } from '../../../src/kafka/memory-kafka/memory-kafka.ts'
import { createLog } from '../../../src/ops/log.ts'
import { startPush } from '../../../src/push/server.ts'

const TOPIC = 'job-view-candles'
const CHANGE_MS = 10
const LIFE_MS_MAX = 300_000

const kafka = createMemoryKafka({ topics: { [TOPIC]: 2 } })
const log = createLog({
  level: 'error',
  format: 'json',
  isTerminal: false,
  write: (line) => process.stderr.write(line),
})
const views = [{ name: 'candles', topic: TOPIC }]
const open = await startPush({ kafka, views, port: 0, log, trustedProxies: 1 })
const keys = { kind: 'secret', secret: process.env.TOKEN_SECRET! } as const
const auth = { keys, clockToleranceMs: 0, claim: 'millrace', withoutClaim: 'all', allowQueryToken: true } as const
const guarded = await startPush({ kafka, views, port: 0, log, auth })

let i = 0
setInterval(() => kafka.append(TOPIC, { key: 'A', value: JSON.stringify({ i: i++ }) }), CHANGE_MS)
setTimeout(() => process.exit(1), LIFE_MS_MAX)
process.stderr.write(`listening on ${open.port} and ${guarded.port}\n`)
