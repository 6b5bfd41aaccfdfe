// Clients that follow a view in which nothing happens, in a process of its own, until the server closes. Each must have had its snapshot.
// Arguments: port, clients.
import { JSON_PROTOCOL } from '../../src/protocol/messages.ts'
import { BareSocket, openAll } from './bare-socket.ts'

const [port, clients] = process.argv.slice(2).map(Number) as [number, number]
const IS_LAST = Buffer.from('"isLast":true')
await openAll(clients, (ready) => {
  let isWhole = false
  const socket: BareSocket = new BareSocket({
    port,
    path: '/live',
    protocol: JSON_PROTOCOL,
    onOpen: () => socket.send('{"type":"subscribe","id":1,"view":"prices"}'),
    onText: (payload) => {
      if (isWhole || !payload.includes(IS_LAST)) return
      isWhole = true
      ready()
    },
  })
  return socket
})
process.stdout.write(`${JSON.stringify({ snapshots: clients })}\n`)
