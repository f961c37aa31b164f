// The guest list of the sample wedding in a browser. Beside a running `make run`, in the root of this tree:
// npx esbuild examples/browser/main.js --bundle --outdir=examples/browser/built --servedir=examples/browser --serve=127.0.0.1:8080
// Then open http://127.0.0.1:8080 in two windows, and tick who comes. `?server=ws://…` is for another server.
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'

const server = new URLSearchParams(location.search).get('server') ?? 'ws://127.0.0.1:8000'
const doc = new Y.Doc()
const params = { user: 'u_example', role: 'couple' }
const provider = new WebsocketProvider(`${server}/ws/demo`, 'guests', doc, { params })
provider.messageHandlers[2] = () => alert('The server has taken an edit back.')

const guests = doc.getMap('guests')
const answer = 'rsvp:e_reception'
const order = ([, a], [, b]) => (a.get('order') < b.get('order') ? -1 : 1)

const row = ([id, guest]) => {
  const [item, label, box] = ['li', 'label', 'input'].map((tag) => document.createElement(tag))
  box.type = 'checkbox'
  box.checked = guest.get(answer) === 'yes'
  box.onchange = () => guests.get(id).set(answer, box.checked ? 'yes' : 'no') // the one write there is
  const names = ['firstName', 'lastName'].map((key) => guest.get(key)).filter(Boolean)
  label.append(box, ' ', names.join(' ') || 'No name')
  item.append(label)
  return item
}

const show = () => {
  const all = [...guests].filter(([, guest]) => !guest.has('deleted')).sort(order)
  document.getElementById('count').textContent = all.length
  document.getElementById('guests').replaceChildren(...all.map(row))
}
guests.observeDeep(show) // every change of a guest, ours or anybody's
