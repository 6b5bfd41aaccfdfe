// A topic as a view on the command line: `name=topic`, `name=topic:msgpack`. Main thread; pure.

import { MillraceError } from '../core/errors.ts'

export interface TopicView {
  name: string
  topic: string
  format: 'json' | 'msgpack'
}

/** The view's name is what clients ask for: of the letters that Kafka takes for topics too. */
const PARTS = /^([\w.-]{1,249})=([\w.-]{1,249})(?::(json|msgpack))?$/

/**
 * Throws MR3002 with what was expected.
 *
 * @example
 * topicViewOf('prices=market-prices:msgpack') // { name: 'prices', topic: 'market-prices', format: 'msgpack' }
 */
export function topicViewOf(text: string): TopicView {
  const parts = PARTS.exec(text)
  if (parts === null) {
    const reason = `--view ${text}: expected name=topic, name=topic:json or name=topic:msgpack`
    throw new MillraceError('MR3002', { reason })
  }
  const [, name, topic, format = 'json'] = parts
  return { name: name!, topic: topic!, format: format as TopicView['format'] }
}
