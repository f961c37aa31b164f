// Two stock Yjs clients edit one note: node examples/quickstart.mjs [ws://127.0.0.1:8000]
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'
import WebSocket from 'ws'

const server = process.argv[2] ?? 'ws://127.0.0.1:8000'

const connect = async () => {
  const doc = new Y.Doc()
  // The server's URL ends with the wedding; the document is the provider's room.
  // In one process two clients would otherwise hear each other past the server, before anything is stored.
  const options = { WebSocketPolyfill: WebSocket, disableBc: true }
  const provider = new WebsocketProvider(`${server}/ws/demo`, 'notes.quickstart', doc, options)
  await new Promise((resolve) => provider.once('sync', resolve))
  return { provider, text: doc.getText('text') }
}

const reads = (text, wanted) => new Promise((resolve) => {
  const look = () => { if (text.toString().includes(wanted)) resolve() }
  text.observe(look)
  look()
})

const [ann, bao] = await Promise.all([connect(), connect()])
const stamp = new Date().toISOString()
ann.text.insert(0, `Ann, ${stamp}: peonies for table 4\n`)
bao.text.insert(0, `Bao, ${stamp}: lemon for the cake\n`)
await Promise.all([reads(ann.text, `Bao, ${stamp}`), reads(bao.text, `Ann, ${stamp}`)])
console.log(ann.text.toString() === bao.text.toString() ? 'both read:' : 'they differ!')
console.log(bao.text.toString())
process.exit(ann.text.toString() === bao.text.toString() ? 0 : 1)
