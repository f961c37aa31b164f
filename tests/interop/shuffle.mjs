/**
 * Honest clients on a bad road: each makes real Yjs updates, sends them in random order, drops some and repeats some,
 * and answers every step 1 of the server with its full step 2, as any client does. Drops at the end leave no gap that
 * anybody could see, so at last every client connects anew, as after a lost link, and has to end equal to the others.
 */
import WebSocket from 'ws'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import { canonical } from './canonical.mjs'

const SYNC = 0
const [STEP1, STEP2, UPDATE] = [0, 1, 2]

/** Mulberry32: the same numbers for the same seed. */
function randomFrom (seed) {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let x = Math.imul(state ^ (state >>> 15), state | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) % below
  }
}

function shuffled (list, random) {
  const out = [...list]
  for (let i = out.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [out[i], out[j]] = [out[j], out[i]]
  }
  return out
}

/**
 * A place in the text that does not split an emoji. Random splits end differently on Yjs clients without any server
 * (149 of 300 runs of in-order exchange); the single splits that Yjs does carry through have tests of their own.
 */
function place (text, random) {
  const at = random(text.length + 1)
  const unit = text.toString().charCodeAt(at)
  return unit >= 0xdc00 && unit < 0xe000 ? at - 1 : at
}

/** One random edit of a document, always of something that exists. */
function edit (doc, random) {
  const text = doc.getText('text')
  const array = doc.getArray('array')
  const [start, end] = [place(text, random), place(text, random)].sort((a, b) => a - b)
  switch (random(8)) {
    case 0: return text.delete(start, end - start)
    case 1: return doc.getMap('map').set(`key ${random(5)}`, random(1000))
    case 2: return doc.getMap('map').delete(`key ${random(5)}`)
    case 3: return array.insert(random(array.length + 1), [random(1000), new Y.Map([['name', 'Zoë']])])
    case 4: return array.length > 0 ? array.delete(random(array.length), 1) : undefined
    case 5: return text.insert(start, '💐')
    case 6: return text.format(start, end - start, { bold: true })
    default: return text.insert(start, 'a few words'.slice(random(8)))
  }
}

class BadRoad {
  constructor (address, clientID) {
    this.address = address
    this.doc = new Y.Doc()
    this.doc.clientID = clientID
    this.made = []
    this.closes = []
    this.leaving = false
    this.repaired = false
    this.doc.on('update', (update, origin) => {
      if (origin === this) return
      if (this.repaired) this.send(UPDATE, update) // Yjs tidies formatting after updates of others
      else this.made.push(update)
    })
  }

  /** Resolves at the server's step 2, which comes after everything it knew when it was asked. */
  connect () {
    return new Promise((resolve, reject) => {
      const socket = this.socket = new WebSocket(this.address)
      socket.binaryType = 'arraybuffer'
      socket.on('open', () => this.send(STEP1, Y.encodeStateVector(this.doc)))
      socket.on('message', data => this.receive(new Uint8Array(data), resolve))
      socket.on('error', () => {}) // its close follows
      socket.on('close', code => {
        if (this.leaving) return
        this.closes.push(code)
        if (code >= 4400 && code < 4500) reject(new Error(`closed for good with ${code}`))
        else this.connect().then(resolve, reject)
      })
    })
  }

  receive (message, synced) {
    const decoder = decoding.createDecoder(message)
    if (decoding.readVarUint(decoder) !== SYNC) return
    const type = decoding.readVarUint(decoder)
    const bytes = decoding.readVarUint8Array(decoder)
    if (type === STEP1) return this.send(STEP2, Y.encodeStateAsUpdate(this.doc, bytes))
    Y.applyUpdate(this.doc, bytes, this)
    this.received?.()
    if (type === STEP2) synced()
  }

  send (type, bytes) {
    if (this.socket.readyState !== WebSocket.OPEN) return // one more drop
    this.socket.send(encoding.encode(encoder => {
      encoding.writeVarUint(encoder, SYNC)
      encoding.writeVarUint(encoder, type)
      encoding.writeVarUint8Array(encoder, bytes)
    }))
  }

  /** Sends what was made since the last time, badly. Returns how many were dropped and repeated. */
  sendBadly (random) {
    const made = this.made.splice(0)
    const kept = made.filter(() => random(5) > 0)
    const repeated = kept.filter(() => random(5) === 0)
    for (const update of shuffled([...kept, ...repeated], random)) this.send(UPDATE, update)
    return [made.length - kept.length, repeated.length]
  }

  async disconnect () {
    this.leaving = true
    if (this.socket.readyState !== WebSocket.CLOSED) {
      await new Promise(resolve => {
        this.socket.on('close', resolve)
        this.socket.close(1000)
      })
    }
    this.leaving = false
  }
}

/** Resolves once all documents hold `expected`. */
function allHold (roads, expected, seconds) {
  return new Promise((resolve, reject) => {
    const done = settle => { clearTimeout(timer); roads.forEach(road => { road.received = undefined }); settle() }
    const timer = setTimeout(() => done(() => reject(new Error(
      `expected ${expected}\n` + roads.map(({ doc }) => canonical(doc)).join('\n')))), seconds * 1000)
    const check = () => { if (roads.every(({ doc }) => canonical(doc) === expected)) done(resolve) }
    roads.forEach(road => { road.received = check })
    check()
  })
}

/** Sends the edits of three rounds badly, and the rest over a new connection. Returns how many were dropped, repeated. */
async function travel (roads, edits, random) {
  let [dropped, repeated] = [0, 0]
  await Promise.all(roads.map(road => road.connect()))
  for (let round = 0; round < 3; round++) {
    for (const road of roads) for (let i = 0; i < edits; i++) edit(road.doc, random)
    for (const road of roads) {
      const counts = road.sendBadly(random)
      dropped += counts[0]
      repeated += counts[1]
    }
    await arrival(roads)
  }
  for (const road of roads) {
    await road.disconnect()
    road.repaired = true
    await road.connect()
  }
  return { dropped, repeated }
}

/** Resolves when something has come from the server, so that the next round builds on edits of others. */
function arrival (roads) {
  return new Promise(resolve => {
    const first = () => {
      roads.forEach(road => { road.received = undefined })
      resolve()
    }
    roads.forEach(road => { road.received = first })
  })
}

async function run (roads, stateUrl, edits, seconds, random) {
  const counts = await travel(roads, edits, random)
  const reference = new Y.Doc() // what Yjs itself makes of it, without any server
  for (const { doc } of roads) Y.applyUpdate(reference, Y.encodeStateAsUpdate(doc))
  const expected = canonical(reference)
  await allHold(roads, expected, seconds)
  const store = new Y.Doc()
  Y.applyUpdate(store, new Uint8Array(await (await fetch(stateUrl)).arrayBuffer()))
  if (canonical(store) !== expected) throw new Error(`the store holds ${canonical(store)}\ninstead of ${expected}`)
  return { ...counts, closes: roads.flatMap(road => road.closes) }
}

/** One run; everything follows from `seed` but the order in which the network delivers. */
export async function shuffle ({ url, room, stateUrl, seed, edits, seconds }) {
  const random = randomFrom(seed)
  const roads = [1, 2, 3].map(i => new BadRoad(`${url}/${room}`, seed * 10 + i))
  let timer
  const late = new Promise((resolve, reject) => {
    const fail = () => reject(new Error(`not done; closes ${JSON.stringify(roads.map(road => road.closes))}`))
    timer = setTimeout(fail, seconds * 2000)
  })
  try {
    return await Promise.race([run(roads, stateUrl, edits, seconds, random), late])
  } catch (error) {
    throw new Error(`seed ${seed}: ${error.message}`)
  } finally {
    clearTimeout(timer)
    await Promise.all(roads.map(road => road.disconnect()))
  }
}
