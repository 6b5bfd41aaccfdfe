// q8, new sellers: people who joined and opened an auction in the same 10 s. Run: millrace run examples/nexmark/jobs/q8.ts
import { argMax, kafka, msgpack, sum, tumbling } from 'millrace'
import { peopleAndAuctions } from '../streams.ts'

export default peopleAndAuctions('nexmark-q8')
  .map(['kind', 'id', 'name', 'seller'], (kind, id, name, seller) => {
    if (kind === 'person') return { person: id, name, joined: 1, sold: 0 }
    return { person: seller, name: '', joined: 0, sold: 1 }
  })
  // Both kinds of events of a person in one window: no join is needed.
  .keyBy('person')
  .window('10s', tumbling('10s'))
  .aggregate({ name: argMax('name', 'joined'), joined: sum('joined'), sold: sum('sold') })
  .filter(['joined', 'sold'], (joined, sold) => joined > 0 && sold > 0)
  .map(({ person, name, windowStart }) => ({ id: Number(person), name, startTime: windowStart }))
  .to(kafka('nexmark-q8', { value: msgpack() }))
