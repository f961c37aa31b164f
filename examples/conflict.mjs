// Two people who have not seen each other's edit: node examples/conflict.mjs [ws://127.0.0.1:8000]
// Ada (couple) and Bob (planner) go offline, both change when the ceremony starts, and come back. Whoever ranks higher
// keeps their value, and what the other wanted is in the timeline's `review`, with a way to choose it after all.
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'
import WebSocket from 'ws'

const server = process.argv[2] ?? 'ws://127.0.0.1:8000'
const wedding = `example-${Date.now().toString(36)}`

const connect = async (user, role) => {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(`${server}/ws/${wedding}`, 'timeline', doc, {
    params: { user, role }, WebSocketPolyfill: WebSocket, disableBc: true
  })
  await new Promise((resolve) => provider.once('sync', resolve))
  return { doc, provider, items: doc.getMap('items'), review: doc.getMap('review') }
}

const until = (person, holds) => new Promise((resolve) => {
  const look = () => { if (holds()) { person.doc.off('update', look); resolve() } }
  person.doc.on('update', look)
  look()
})

const [ada, bob] = await Promise.all([connect('ada', 'couple'), connect('bob', 'planner')])
const ceremony = 'i_ceremony00'
ada.items.set(ceremony, new Y.Map(Object.entries({ title: 'Ceremony', start: 900, duration: 40, note: new Y.Text() })))
await until(bob, () => bob.items.has(ceremony))

for (const person of [ada, bob]) person.provider.disconnect()
ada.items.get(ceremony).set('start', 930)                       // 15:30
bob.items.get(ceremony).set('start', 885)                       // 14:45
for (const person of [ada, bob]) person.provider.connect()

for (const person of [ada, bob]) {
  await until(person, () => person.review.size === 1 && person.items.get(ceremony).get('start') === 930)
}
const [conflict] = bob.review.values()
console.log(conflict.get('_summary'))
console.log('both read:', bob.items.get(ceremony).get('start'), '- instead:', conflict.get('_options').map((each) => each.text))
process.exit(0)
