// Honest clients: stock yjs with y-websocket or Hocuspocus' provider, all in this process, each at its work (see
// works.mjs) and watching what comes back. Commands arrive as lines on stdin:
//   quiet   stop working, wait until everything typed was receipted and the replicas of each room are equal
//   check   compare each replica with the bytes in the files given per room, as a fresh Yjs document reads them
//   leave   disconnect, keep the replicas
//   bye     end
// Each is answered with one line of JSON on stdout.
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import * as decoding from 'lib0/decoding'
import { WebsocketProvider } from 'y-websocket'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as Y from 'yjs'
import { ThreadedSocket } from './socket.mjs'
import { WORKS } from './works.mjs'

const SERVER = 1 // the client id under which the server writes
const { urls, clients, seed, samplesFile, settleSeconds } = JSON.parse(process.argv[2])

const errors = []
let errorCount = 0
const note = (where) => (error) => {
  errorCount++
  if (errors.length < 20) errors.push(`${where}: ${error?.stack ?? error}`)
}
process.setMaxListeners(0) // every provider listens for the exit
process.on('uncaughtException', note('uncaught'))
process.on('unhandledRejection', note('unhandled'))
const realError = console.error
console.error = (...what) => note('console')(what.map(String).join(' '))

// mulberry32: small, seeded, good enough for typing
const randomFrom = (state) => () => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

const loopDelay = monitorEventLoopDelay({ resolution: 5 })
loopDelay.enable()

const samples = [] // [kind ('own' | 'peer'), room, sent (ms since the epoch), latency (ms)]
const byId = new Map() // Yjs client id -> client
const closes = {}
const spoofs = []
let working = true
let leaving = false

const sockets = new Map() // number -> a socket of Hocuspocus, for one document of each room at most
function sharedSocket (number) {
  if (!sockets.has(number)) {
    const url = `${urls[number % urls.length]}/hocuspocus?user=sharer${number}`
    sockets.set(number, new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: ThreadedSocket }))
  }
  return sockets.get(number)
}

class Client {
  constructor ({ wedding, document, roots, id, work, number, socket }, index) {
    this.room = `${wedding}/${document}`
    this.document = document
    this.roots = roots
    this.id = id
    this.name = `Chloé 💍 ${index}`
    this.random = randomFrom(seed * 1000 + index)
    this.edits = [] // {end: clock after the edit, at: when}
    this.seen = new Map() // client id -> how many of its edits came back, or arrived here
    this.spoofed = 0
    this.begun = false
    this.doc = new Y.Doc()
    this.doc.clientID = id
    byId.set(id, this)
    this.work = new WORKS[work](this, number)
    this.doc.on('update', (_, origin) => this.edited(origin))
    if (socket === null) this.useWebsocket(wedding, document, index)
    else this.useHocuspocus(sharedSocket(socket))
    this.provider.awareness.setLocalStateField('user', { name: this.name })
    this.provider.awareness.on('change', () => this.checkPresence())
    if (this.work.connects) this.connect()
    this.workLater()
  }

  useWebsocket (wedding, document, index) {
    this.provider = new WebsocketProvider(`${urls[index % urls.length]}/ws/${wedding}`, document, this.doc, {
      WebSocketPolyfill: ThreadedSocket, disableBc: true, connect: false, params: { user: `honest${index}` }
    })
    this.tap()
    this.provider.on('connection-close', (event) => this.closed(event))
    this.network = this.provider
  }

  // An edit is receipted when the provider counts none that is not.
  useHocuspocus (websocketProvider) {
    this.provider = new HocuspocusProvider({ websocketProvider, name: this.room, document: this.doc })
    this.provider.on('unsyncedChanges', ({ number }) => {
      if (number === 0) this.arrived([[this.id, Y.getState(this.doc.store, this.id)]], 2, ThreadedSocket.arrivedAt)
    })
    this.doc.on('update', (update, origin) => {
      if (origin === this.provider) this.arrived(Y.parseUpdateMeta(update).to, 2, ThreadedSocket.arrivedAt)
    })
    this.provider.on('close', ({ event }) => this.closed(event))
    this.network = { connect: () => this.provider.attach(), disconnect: () => websocketProvider.disconnect() }
  }

  closed (event) {
    if (leaving) return
    const code = event === null ? 'local' : `${event.code} ${event.reason}`
    closes[code] = (closes[code] ?? 0) + 1
  }

  connect () {
    this.begun = true
    const at = Date.now()
    for (const edit of this.edits) edit.at = at // made offline: they wait from now on
    this.network.connect()
  }

  // A deletion alone has no clock that could come back.
  edited (origin) {
    const end = Y.getState(this.doc.store, this.id)
    if (this.work.origins.has(origin) && end > (this.edits.at(-1)?.end ?? 0)) this.edits.push({ end, at: Date.now() })
  }

  tap () {
    const handlers = (this.provider.messageHandlers = this.provider.messageHandlers.slice())
    const sync = handlers[0]
    handlers[0] = (encoder, decoder, ...rest) => {
      const peek = decoding.clone(decoder)
      const step = decoding.readVarUint(peek)
      const payload = decoding.readVarUint8Array(peek)
      const now = ThreadedSocket.arrivedAt // what the replicas need for it is not the server's
      sync(encoder, decoder, ...rest)
      this.arrived(step === 0 ? Y.decodeStateVector(payload) : Y.parseUpdateMeta(payload).to, step, now)
    }
  }

  // A state vector of the server is a receipt as good as an echo: it holds only what is committed.
  arrived (clocks, step, now) {
    for (const [id, clock] of clocks) {
      const author = byId.get(id)
      if (author === undefined || (step === 0 && author !== this)) continue
      let count = this.seen.get(id) ?? 0
      while (count < author.edits.length && author.edits[count].end <= clock) {
        const { at } = author.edits[count++]
        samples.push([author === this ? 'own' : 'peer', this.room, at, now - at])
      }
      this.seen.set(id, count)
    }
  }

  checkPresence () {
    for (const [id, state] of this.provider.awareness.getStates()) {
      const owner = byId.get(id)
      if (owner?.room === this.room && state?.user?.name !== owner.name) {
        this.spoofed++
        if (spoofs.length < 5) spoofs.push([this.id, id, JSON.stringify(state).slice(0, 100), this.provider.awareness.meta.get(id)?.clock])
      }
    }
  }

  workLater () {
    setTimeout(() => {
      if (working) {
        try { this.work.step() } catch (error) { note('working')(error) }
        this.workLater()
      }
    }, this.work.pause())
  }

  get unreceipted () { return this.edits.length - (this.seen.get(this.id) ?? 0) }
}

const started = process.cpuUsage()
const all = clients.map((row, index) => new Client(row, index))
const rooms = [...new Set(all.map((client) => client.room))]
const present = () => all.filter((client) => client.begun)
const of = (room) => present().filter((client) => client.room === room)
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')

// What attackers wrote is compared too, but apart: Yjs itself reads some impossible structures (an item between
// neighbours of two parents) differently from one order of arrival to another.
const wholly = (a, b) => Y.equalSnapshots(Y.snapshot(a), Y.snapshot(b))
const vector = (doc) => JSON.stringify([...Y.decodeStateVector(Y.encodeStateVector(doc))].sort(([a], [b]) => a - b))
const read = (doc, roots) => JSON.stringify(Object.entries(roots).map(([name, shape]) =>
  shape === 'text' ? doc.getText(name).toString() : doc.getMap(name).toJSON()), sorted)
const equal = (a, b, roots) => vector(a) === vector(b) && read(a, roots) === read(b, roots)
const sorted = (_, value) => value?.constructor === Object
  ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
  : value

const equalIn = (room) => of(room).every((client) => equal(client.doc, of(room)[0].doc, client.roots))
const settled = () => present().every((c) => c.provider.synced && c.unreceipted === 0) && rooms.every(equalIn)

async function quiet () {
  working = false
  const until = Date.now() + settleSeconds * 1000
  while (!settled() && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 250))
  writeFileSync(samplesFile, JSON.stringify(samples))
  const cpu = process.cpuUsage(started)
  say({
    settled: settled(),
    edits: present().reduce((sum, c) => sum + c.edits.length, 0),
    unreceipted: present().reduce((sum, c) => sum + c.unreceipted, 0),
    unequal: rooms.filter((room) => !equalIn(room)),
    pending: all.filter((c) => c.doc.store.pendingStructs !== null).length,
    offline: present().filter((c) => !c.provider.synced).length,
    spoofed: all.reduce((sum, c) => sum + c.spoofed, 0),
    spoofs,
    unseenPeers: rooms.filter((room) => !of(room).every((client) =>
      of(room).every((peer) => client.provider.awareness.getStates().has(peer.id)))),
    closes,
    errorCount,
    errors,
    clientIds: Object.fromEntries(rooms.filter((room) => of(room).length).map((room) => [room, Y.decodeStateVector(Y.encodeStateVector(of(room)[0].doc)).size])),
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    loopDelayMs: [{ p99: loopDelay.percentile(99) / 1e6, max: loopDelay.max / 1e6 }]
  })
}

function difference (room, stored, held) {
  const clocks = [stored, held].map((doc) => Y.decodeStateVector(Y.encodeStateVector(doc)))
  const ids = new Set([...clocks[0].keys(), ...clocks[1].keys()])
  return {
    room,
    clocks: [...ids].map((id) => [id, clocks[0].get(id), clocks[1].get(id)]).filter(([, a, b]) => a !== b).slice(0, 20),
    deletions: [stored, held].map((doc) => Y.snapshot(doc).ds.clients.size),
    deletionsOf: [...ids].filter((id) => JSON.stringify(deletions(stored, id)) !== JSON.stringify(deletions(held, id))).slice(0, 20),
    pending: [stored, held].map((doc) => doc.store.pendingStructs !== null || doc.store.pendingDs !== null)
  }
}
/** Whether a stored document is a replica and what the server has written since, which may go on while nobody listens. */
function continues (stored, held, roots) {
  const clocks = Y.decodeStateVector(Y.encodeStateVector(held))
  for (const [id, clock] of Y.decodeStateVector(Y.encodeStateVector(stored))) {
    if (id !== SERVER && clock > (clocks.get(id) ?? 0)) return false
  }
  const merged = new Y.Doc()
  for (const doc of [held, stored]) Y.applyUpdate(merged, Y.encodeStateAsUpdate(doc))
  return equal(merged, stored, roots)
}
const deletions = (doc, id) => Y.snapshot(doc).ds.clients.get(id)

/** `left`: the clients have left since, and the server may have written. */
function check ({ files, left }) {
  const result = { unequal: [], missing: 0, broken: [], differences: [] }
  for (const room of rooms) {
    if (files[room] === undefined || of(room).length === 0) continue
    const doc = new Y.Doc()
    try {
      Y.applyUpdate(doc, readFileSync(files[room]))
    } catch (error) {
      result.broken.push(`${room}: ${error}`)
      continue
    }
    const { doc: held, roots } = of(room)[0]
    if (!(left ? continues : equal)(doc, held, roots)) result.unequal.push(room)
    if (!wholly(doc, of(room)[0].doc)) {
      result.differences.push(difference(room, doc, of(room)[0].doc))
      writeFileSync(`${files[room]}.honest`, Y.encodeStateAsUpdate(of(room)[0].doc))
    }
    for (const client of of(room)) {
      const receipted = client.seen.get(client.id) ?? 0
      const clock = Y.getState(doc.store, client.id)
      result.missing += client.edits.slice(0, receipted).filter((edit) => edit.end > clock).length
    }
  }
  say(result)
}

function leave () {
  leaving = true
  for (const { network } of all) network.disconnect()
  say({})
}

function bye () {
  for (const { provider } of all) provider.destroy()
  for (const socket of sockets.values()) socket.destroy()
  say({})
  setTimeout(() => process.exit(0), 500)
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, argument] = JSON.parse(line)
  Promise.resolve({ quiet, check, leave, bye }[command](argument)).catch((error) => { realError(error); process.exit(1) })
})
say({ ready: true })
