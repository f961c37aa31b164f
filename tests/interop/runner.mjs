/**
 * Stock Yjs clients for the interop tests, driven by JSON lines: in `{command, ...arguments}`, out `{result}` or
 * `{error}`, one answer per line in order.
 *
 * Code of a test runs as the body of an async function that sees `doc`, `provider`, `awareness`, `args` and `Y`.
 */
import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { WebsocketProvider } from 'y-websocket'
import { WebsocketProvider as FourteenProvider } from '@y/websocket'
import * as Fourteen from '@y/y'
import * as Y from 'yjs'
import { canonical, contents } from './canonical.mjs'
import { closeSockets, openHocuspocus } from './hocuspocus.mjs'
import { shuffle } from './shuffle.mjs'
import { confirmByEcho, confirmByStatus, signer, startTyping, stopTyping } from './typing.mjs'

const clients = new Map()
const EVENTS = [
  ...['status', 'sync', 'connection-close', 'closed'],
  ...['synced', 'stateless', 'unsyncedChanges', 'authenticated', 'authenticationFailed', 'close', 'disconnect'],
  ...['asked', 'denied'] // of this runner
]
const AsyncFunction = (async () => {}).constructor

function body (code) {
  const names = 'const { doc, provider } = client; const { awareness } = provider;'
  const run = new AsyncFunction('client', 'Y', 'args', `${names} ${code}`)
  return (client, args) => run(client, Y, args)
}

/** Calls `attempt` now and after all that happens to the clients, until it gives something other than undefined. */
function eventually (list, attempt, seconds, describe) {
  return new Promise((resolve, reject) => {
    let asked = false
    let over = false
    const timer = setTimeout(() => finish(reject, new Error(`not within ${seconds} s: ${describe()}`)), seconds * 1000)
    const finish = (settle, value) => {
      over = true
      clearTimeout(timer)
      for (const { doc, provider } of list) {
        doc.off('update', look)
        provider.awareness.off('change', look)
        for (const event of EVENTS) provider.off(event, look)
      }
      settle(value)
    }
    const look = () => { // once for everything that comes in one turn of the loop
      if (asked || over) return
      asked = true
      setImmediate(async () => {
        asked = false
        if (over) return
        try {
          const value = await attempt()
          if (value !== undefined && !over) finish(resolve, value)
        } catch (error) {
          finish(reject, error)
        }
      })
    }
    for (const { doc, provider } of list) {
      doc.on('update', look)
      provider.awareness.on('change', look)
      for (const event of EVENTS) provider.on(event, look)
    }
    look()
  })
}

async function stored (stateUrl) {
  const response = await fetch(stateUrl)
  if (!response.ok) throw new Error(`${stateUrl}: ${response.status} ${await response.text()}`)
  const doc = new Y.Doc()
  Y.applyUpdate(doc, new Uint8Array(await response.arrayBuffer()))
  return doc
}

const commands = {
  /** With `signing` (see `signer`) it takes another token whenever one has expired. */
  open ({ client: name, url, room, clientID, params = {}, signing }) {
    const doc = new Y.Doc()
    if (clientID != null) doc.clientID = clientID
    const options = { WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 200, params }
    // asked: whether the server's sync step 1 has come; the answer holds all that was written before.
    const client = { doc, closes: [], denied: [], asked: false }
    if (signing !== undefined) {
      const sign = signer(signing)
      client.signed = sign()
      params.token = client.signed.token
      options.shouldReconnect = ({ code }, provider) => {
        if (code === 4401) provider.params.token = (client.signed = sign()).token
        return code === 4401 || code < 4400 || code > 4499
      }
    }
    const provider = new WebsocketProvider(url, room, doc, options)
    client.provider = provider
    const readSync = provider.messageHandlers[0]
    provider.messageHandlers[0] = (encoder, decoder, ...rest) => {
      if (decoder.arr[decoder.pos] === 0) {
        client.asked = true
        provider.emit('asked', [])
      }
      readSync(encoder, decoder, ...rest)
    }
    provider.messageHandlers[2] = (_encoder, decoder) => {
      decoding.readVarUint(decoder)
      client.denied.push(decoding.readVarString(decoder))
      provider.emit('denied', [])
    }
    provider.on('connection-close', event => { if (event !== null) client.closes.push(event.code) })
    clients.set(name, client)
  },

  /** A client of Yjs 14 (`@y/y`, `@y/websocket`), whose code sees its library as `client.Y`. */
  openFourteen ({ client: name, url, room, params = {} }) {
    const doc = new Fourteen.Doc()
    const options = { WebSocketPolyfill: WebSocket, disableBc: true, params }
    const provider = new FourteenProvider(url, room, doc, options)
    const client = { doc, provider, Y: Fourteen, denied: [] }
    provider.messageHandlers[2] = (_encoder, decoder) => {
      decoding.readVarUint(decoder)
      client.denied.push(JSON.parse(decoding.readVarString(decoder)))
      provider.emit('denied', [])
    }
    clients.set(name, client)
  },

  /** A stock client of Hocuspocus; see `openHocuspocus`. */
  openHocuspocus (args) {
    clients.set(args.client, openHocuspocus(args))
  },

  /** Import what editors need, which takes a while. */
  async loadEditors () {
    await import('./tiptap.mjs')
    await import('./prosemirror.mjs')
  },

  /** A Tiptap editor as `client.editor`, on the document of a client. */
  async openEditor ({ client }) {
    const { openEditor } = await import('./tiptap.mjs')
    openEditor(clients.get(client))
  },

  /** An editor of y-prosemirror as `client.view`, on the document of a client. */
  async openProseMirror ({ client }) {
    const { openProseMirror } = await import('./prosemirror.mjs')
    openProseMirror(clients.get(client))
  },

  /** Words without a pause in an editor; see `typing.mjs`. */
  startTyping ({ client: name, pauseMs }) {
    const client = clients.get(name)
    Object.assign(client, { words: [], confirmed: 0 })
    if (client.provider.messageHandlers === undefined) confirmByStatus(client)
    else confirmByEcho(client)
    startTyping(client, { name, pauseMs })
  },

  stopTyping ({ client }) {
    stopTyping(clients.get(client))
  },

  close ({ client: name }) {
    const client = clients.get(name)
    const { doc, provider, editor } = client
    stopTyping(client)
    editor?.destroy()
    provider.destroy()
    doc.destroy()
    clients.delete(name)
  },

  closeAll () {
    for (const client of clients.keys()) commands.close({ client })
    closeSockets()
  },

  run: ({ client, code, args }) => body(code)(clients.get(client), args),

  wait ({ client: name, expression, args, seconds }) {
    const client = clients.get(name)
    const test = body(`return ${expression}`)
    return eventually([client], async () => await test(client, args) || undefined, seconds,
      () => `${expression}; the client holds ${canonical(client.doc).slice(0, 500)}`)
  },

  /** Waits until the clients and the store hold the same and have nothing pending, and returns what. */
  async settle ({ clients: names, stateUrl, seconds }) {
    const list = names.map(name => clients.get(name))
    const deadline = performance.now() + seconds * 1000
    const left = () => (deadline - performance.now()) / 1000
    const versions = () => [...new Set(list.map(({ doc }) => canonical(doc)))]
    const equal = () => {
      const [version, ...others] = versions()
      return others.length === 0 && !JSON.parse(version).pending ? version : undefined
    }
    const describe = () => versions().map(version => version.slice(0, 500)).join('\n')
    // A commit may come after the last change of a client: then each answer of the store leads to the next question.
    for (;;) {
      const version = await eventually(list, equal, left(), describe)
      const held = await stored(stateUrl)
      if (canonical(held) === version) return contents(held)
      if (left() < 0) throw new Error(`the store holds ${canonical(held).slice(0, 500)}\nthe clients ${describe()}`)
    }
  },

  /** Offline sync over HTTP: the client's document against the server, in one round trip. */
  async httpSync ({ client: name, syncUrl }) {
    const { doc } = clients.get(name)
    const answer = await fetch(syncUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: encoding.encode(encoder => {
        encoding.writeVarUint8Array(encoder, Y.encodeStateVector(doc))
        encoding.writeVarUint8Array(encoder, Y.encodeStateAsUpdate(doc))
      })
    })
    if (!answer.ok) throw new Error(`${syncUrl}: ${answer.status} ${await answer.text()}`)
    const decoder = decoding.createDecoder(new Uint8Array(await answer.arrayBuffer()))
    const stateVector = decoding.readVarUint8Array(decoder)
    Y.applyUpdate(doc, decoding.readVarUint8Array(decoder))
    return {
      trailing: decoding.hasContent(decoder),
      vectors: [stateVector, Y.encodeStateVector(doc)].map(vector => Object.fromEntries(Y.decodeStateVector(vector)))
    }
  },

  /** `GET …/state` for what `stateVector` (an object) lacks: the structs that come, as [client, clock, length]. */
  async missing ({ stateUrl, stateVector }) {
    const clocks = Object.entries(stateVector).map(([client, clock]) => [Number(client), clock])
    const vector = Y.encodeStateVector(new Map(clocks))
    const response = await fetch(`${stateUrl}?state_vector=${Buffer.from(vector).toString('base64url')}`)
    const { structs } = Y.decodeUpdate(new Uint8Array(await response.arrayBuffer()))
    return structs.map(({ id, length }) => [id.client, id.clock, length])
  },

  shuffle
}

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...args } = JSON.parse(line)
  let answer
  try {
    answer = { result: await commands[command](args) ?? null }
  } catch (error) {
    answer = { error: error.stack }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
process.exit(0)
