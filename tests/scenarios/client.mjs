/**
 * Stock Yjs clients for the scenarios, driven by JSON lines: in `{id, command, ...arguments}`, out `{id, result}` or
 * `{id, error}`, in the order in which they are done: many weddings go on at once.
 *
 * Code of a test runs as the body of an async function that sees `doc`, `provider`, `client`, `args`, `Y`, `add` and
 * `get`.
 */
import { createInterface } from 'node:readline'
import * as decoding from 'lib0/decoding'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

process.setMaxListeners(0) // every provider listens to its end

const clients = new Map()
const AsyncFunction = (async () => {}).constructor
const EVENTS = ['status', 'sync', 'connection-close', 'receipt']

/** Adds a record, with its note where it is to have one. */
const adder = doc => (root, id, { note, ...fields }) => {
  const entries = Object.entries(fields)
  if (note !== undefined) entries.push(['note', new Y.Text(note)])
  doc.getMap(root).set(id, new Y.Map(entries))
}

function body (code) {
  const run = new AsyncFunction('client', 'doc', 'provider', 'Y', 'add', 'get', 'args', code)
  return (client, args) => {
    const { doc, provider } = client
    return run(client, doc, provider, Y, adder(doc), (root, id) => doc.getMap(root).get(id), args)
  }
}

/** Calls `attempt` now and after all that happens to the clients, until it gives something other than undefined. */
function eventually (list, attempt, seconds, describe) {
  return new Promise((resolve, reject) => {
    let asked = false
    const finish = (settle, value) => {
      clearTimeout(timer)
      for (const { doc, provider } of list) {
        doc.off('update', look)
        EVENTS.forEach(event => provider.off(event, look))
      }
      settle(value)
    }
    const timer = setTimeout(() => finish(reject, new Error(`not within ${seconds} s: ${describe()}`)), seconds * 1000)
    const look = () => { // once for everything that comes in one turn of the loop
      if (asked) return
      asked = true
      setImmediate(async () => {
        asked = false
        try {
          const value = await attempt()
          if (value !== undefined) finish(resolve, value)
        } catch (error) {
          finish(reject, error)
        }
      })
    }
    for (const { doc, provider } of list) {
      doc.on('update', look)
      EVENTS.forEach(event => provider.on(event, look))
    }
    look()
  })
}

/** What a client holds, as rows: root -> id -> record or value. A root that is one record or text has one row, ''. */
function rows ({ doc, roots }) {
  const held = {}
  for (const [name, shape] of Object.entries(roots)) {
    const value = shape === 'text' ? doc.getText(name).toString() : doc.getMap(name).toJSON()
    const single = shape === 'text' || shape === 'record'
    if (Object.keys(value).length > 0) held[name] = single ? { '': value } : value
  }
  return held
}

/** What may be the reason that a client waits in vain. */
const connection = ({ doc, provider, received, sent, closes, notices }) => ({
  connected: provider.wsconnected,
  synced: provider.synced,
  wanted: provider.shouldConnect,
  written: Y.getState(doc.store, doc.clientID),
  received: Y.getState(received.store, doc.clientID),
  pending: [doc, received].map(({ store }) => store.pendingStructs !== null),
  unconfirmed: sent.map(({ needs }) => needs),
  closes,
  notices
})

/** The snapshot (state vector and deletions) and whether anything is pending: what equal documents have in common. */
function fingerprint ({ doc: { store } }, doc) {
  const pending = store.pendingStructs !== null || store.pendingDs !== null
  return Buffer.from(Y.encodeSnapshot(Y.snapshot(doc))).toString('base64') + (pending ? ' pending' : '')
}

/**
 * `received` holds what the server has told the client, echoes of its own edits included. After a reconnection the
 * server's state vector is what tells of own edits that were stored although their echo never came.
 */
function keepReceipts ({ doc, provider, received, sent }) {
  let clock = 0
  doc.on('update', (update, origin) => {
    if (origin === provider) return
    const start = clock
    clock = Y.getState(doc.store, doc.clientID)
    sent.push({ update, needs: clock > start ? clock : clock + 1 }) // what only deletes is sure when what follows is
  })
  const [sync] = provider.messageHandlers
  provider.messageHandlers[0] = (encoder, decoder, ...others) => {
    const copy = decoding.clone(decoder)
    const type = decoding.readVarUint(copy)
    const bytes = decoding.readVarUint8Array(copy)
    if (type !== 0) Y.applyUpdate(received, bytes)
    const known = type === 0
      ? Y.decodeStateVector(bytes).get(doc.clientID) ?? 0
      : Y.getState(received.store, doc.clientID)
    while (sent.length > 0 && sent[0].needs <= known) {
      const { update } = sent.shift()
      if (type === 0) Y.applyUpdate(received, update)
    }
    provider.emit('receipt', [])
    sync(encoder, decoder, ...others)
  }
}

/** Sockets that keep every frame the server sends. */
const recording = frames => class extends WebSocket {
  constructor (...args) {
    super(...args)
    this.on('message', data => frames.push(Buffer.from(data)))
  }
}

const commands = {
  /** A client, synced; with `record` its frames are kept, and it may be refused. */
  async join ({ client: name, url, room, params, clientID, roots, seconds, record = false }) {
    const doc = new Y.Doc()
    if (clientID !== null) doc.clientID = clientID
    const frames = []
    const WebSocketPolyfill = record ? recording(frames) : WebSocket
    const options = { params, WebSocketPolyfill, disableBc: true, maxBackoffTime: 200 }
    const provider = new WebsocketProvider(url, room, doc, options)
    const client = { doc, provider, roots, received: new Y.Doc(), sent: [], closes: [], notices: [], frames }
    provider.on('connection-close', event => { if (event !== null) client.closes.push(event.code) })
    keepReceipts(client)
    provider.messageHandlers[2] = (_, decoder) => {
      decoding.readVarUint(decoder) // permission denied: there is no other
      client.notices.push(decoding.readVarString(decoder))
      provider.emit('receipt', []) // a notice may be the last thing that comes
    }
    clients.set(name, client)
    const expression = record ? 'provider.synced || client.closes.length > 0' : 'provider.synced'
    await commands.wait({ client: name, expression, seconds })
  },

  leave ({ client: name }) {
    const { doc, provider } = clients.get(name)
    provider.destroy()
    doc.destroy()
    clients.delete(name)
  },

  run: ({ client, code, args }) => body(code)(clients.get(client), args),

  wait ({ client: name, expression, args, seconds }) {
    const client = clients.get(name)
    const test = body(`return ${expression}`)
    return eventually([client], async () => await test(client, args) || undefined, seconds,
      () => `${expression}; ${name}: ${JSON.stringify(connection(client))}, ` +
        `holds ${JSON.stringify(rows(client)).slice(0, 3000)}`)
  },

  /** Waits until all hold the same and nothing pending; the rows. */
  equal ({ clients: names, seconds }) {
    const list = names.map(name => clients.get(name))
    const versions = () => new Set(list.map(client => fingerprint(client, client.doc)))
    return eventually(list, () => {
      const [version, ...others] = versions()
      return others.length === 0 && !version.endsWith('pending') ? rows(list[0]) : undefined
    }, seconds, () => names.map((name, i) => `${name}: ${JSON.stringify(rows(list[i])).slice(0, 1500)}`).join('\n'))
  },

  rows: ({ client }) => rows(clients.get(client)),

  /** Of some byte strings in hexadecimal, those in the frames that were kept. */
  found ({ client, strings }) {
    const all = Buffer.concat(clients.get(client).frames)
    return strings.filter(string => all.includes(Buffer.from(string, 'hex')))
  },

  /** Everything that came to a client from the server, as one update in base64. */
  received ({ client: name }) {
    const { received } = clients.get(name)
    if (received.store.pendingStructs !== null) throw new Error(`${name} has received something before its causes`)
    return Buffer.from(Y.encodeStateAsUpdate(received)).toString('base64')
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...args } = JSON.parse(line)
  Promise.resolve().then(() => commands[command](args)).then(
    result => ({ id, result: result ?? null }),
    error => ({ id, error: error.stack })
  ).then(answer => process.stdout.write(JSON.stringify(answer) + '\n'))
}
process.exit(0)
