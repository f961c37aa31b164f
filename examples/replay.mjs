#!/usr/bin/env node
/**
 * Plays a recorded editing history through a running server with stock Yjs clients, and checks where it ends.
 *
 *   node examples/replay.mjs TRACE.json.gz ws://127.0.0.1:8000/ws/demo notes.replay [--batch N]
 *   node examples/replay.mjs --verify TRACE.json.gz ws://127.0.0.1:8000/ws/demo notes.replay
 *
 * A trace is a list of transactions; in a `concurrent` one each starts from the merge of its parents, which is an
 * older state than its typist's connection already holds. So every typist has two documents:
 *
 *   editor (what the person sees)  --own edits at once-->  wire (bound to y-websocket)  <-->  server  <-->  others
 *                                  <--through the gate---
 *
 * The gate keeps what the wire received, in order, and lets it into the editor only up to the peer's edit that the
 * next transaction names as a parent. A server may merge messages, and a delete set cannot be split again afterwards.
 * So a typist pauses after each edit that its peer will start from (a cut) until the peer's wire holds it: then the
 * end of the peer's queue is exactly that cut. Between cuts nobody waits, except every WINDOW edits for flow control.
 *
 * Two people once typed at one place at the same time (", huh?" and " The whole" in friendsforever): Yjs puts the lower
 * client id first, as the recording has it for the lower agent. So typists get a random client id each, but in the
 * order of their agents; with the ids the other way round every correct replica ends in another text.
 *
 * With `--batch N` up to N neighbouring transactions are sent as one Yjs update. A trace of one person is typed by
 * one client and read by a second. Exit status: 0 all ended in `endContent`, 1 they did not, 2 wrong use.
 */
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const WINDOW = 500 // edits a typist may be ahead of the slowest other client
const PATIENCE_MS = 60_000 // without any progress

const textOf = doc => doc.getText('text')
const seconds = since => (performance.now() - since) / 1000

/** Looks at `condition()` after each update of `doc`: resolves once it holds, rejects after PATIENCE_MS without one. */
function until (condition, doc, what) {
  return new Promise((resolve, reject) => {
    let timer
    const finish = (settle, value) => {
      clearTimeout(timer)
      doc.off('update', check)
      settle(value)
    }
    const rearm = () => {
      clearTimeout(timer)
      const fail = () => finish(reject, new Error(`nothing happened for ${PATIENCE_MS / 1000} s: ${what}`))
      timer = setTimeout(fail, PATIENCE_MS)
    }
    const check = () => condition() ? finish(resolve) : rearm()
    doc.on('update', check)
    check()
  })
}

/** One stock y-websocket client. */
class Client {
  constructor (url, name) {
    this.wire = new Y.Doc()
    this.provider = new WebsocketProvider(url, name, this.wire, { WebSocketPolyfill: WebSocket, disableBc: true })
  }

  get documents () { return [this.wire] }

  ready () {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.provider.url} did not sync`)), PATIENCE_MS)
      this.provider.once('sync', () => { clearTimeout(timer); resolve() })
    })
  }

  /** Removes the ids this client holds as deleted from `sent`; true once it holds all that was sent. */
  holds (sent) {
    const store = this.wire.store
    if (Y.getState(store, sent.client) < sent.clock) return false
    sent.deleted = sent.deleted.filter(id => Y.getState(store, id.client) <= id.clock || !Y.getItem(store, id).deleted)
    return sent.deleted.length === 0
  }

  reached () {} // a reader has no gate

  close () {
    this.provider.destroy()
    this.documents.forEach(doc => doc.destroy()) // ends the timer of the awareness as well
  }
}

/** A client that types one agent's transactions, each from the state it was recorded on. */
class Typist extends Client {
  constructor (url, name, edits, astral, clientID) {
    super(url, name)
    this.edits = edits
    this.astral = astral
    this.editor = new Y.Doc()
    this.editor.clientID = clientID
    this.gate = [] // updates, and the numbers of peer edits they end in
    this.passed = 0 // peer edits the editor holds
    this.deleted = [] // ids deleted since the last cut
    this.typed = 0
    this.editor.on('update', (update, origin) => {
      if (origin !== this.gate) Y.applyUpdate(this.wire, update, this.editor)
    })
    this.wire.on('update', (update, origin) => {
      if (origin === this.provider) this.gate.push(update)
    })
    this.wire.on('afterTransaction', transaction => {
      if (transaction.origin === this.editor) this.deleted.push(...deletedIds(transaction))
    })
  }

  get documents () { return [this.wire, this.editor] }

  /** Called when this client's wire holds exactly the first `count` edits of its peer. */
  reached (count) {
    this.gate.push(count)
    this.onReached?.()
  }

  /** Lets the first `count` edits of the peer into the editor, waiting for them if need be. */
  async integrate (count) {
    while (this.passed < count) {
      const end = this.gate.findIndex(entry => typeof entry === 'number')
      if (end < 0) {
        await new Promise(resolve => { this.onReached = resolve })
        continue
      }
      const entries = this.gate.splice(0, end + 1)
      this.passed = entries.pop()
      for (const update of entries) Y.applyUpdate(this.editor, update, this.gate)
    }
  }

  /** Where the code point `position` of the trace is in the UTF-16 of Yjs. */
  offset (position, from = 0) {
    if (!this.astral) return from + position
    return from + [...textOf(this.editor).toString().slice(from)].slice(0, position).join('').length
  }

  apply ([position, deleted, inserted]) {
    const text = textOf(this.editor)
    const start = this.offset(position)
    if (deleted > 0) text.delete(start, this.offset(deleted, start) - start)
    if (inserted !== '') text.insert(start, inserted)
  }

  /** Types everything; `others` are the clients that have to have received a cut before the next edit. */
  async type (batch, others, progress) {
    const { edits } = this
    while (this.typed < edits.length) {
      const { needs } = edits[this.typed]
      await this.integrate(needs)
      const last = Math.min(this.typed + batch, edits.length) - 1
      let edit
      this.editor.transact(() => {
        do {
          edit = edits[this.typed]
          edit.patches.forEach(patch => this.apply(patch))
        } while (this.typed++ < last && !edit.cut && edits[this.typed].needs === needs)
      })
      if (edit.cut) {
        await this.delivered(others)
        progress()
      }
    }
  }

  async delivered (others) {
    const { clientID: client, store } = this.editor
    const clock = Y.getState(store, client)
    const deleted = this.deleted
    this.deleted = []
    await Promise.all(others.map(async other => {
      const sent = { client, clock, deleted }
      await until(() => other.holds(sent), other.wire, `edit ${this.typed} did not arrive`)
      other.reached(this.typed)
    }))
  }
}

function deletedIds (transaction) {
  const ids = []
  transaction.deleteSet.clients.forEach((ranges, client) => {
    for (const { clock, len } of ranges) for (let i = 0; i < len; i++) ids.push(Y.createID(client, clock + i))
  })
  return ids
}

/**
 * The edits of each agent in order: `needs` is how many edits of the other agent an edit starts from, `cut` says
 * that the other agent starts an edit from exactly here.
 */
function editsOfAgents (trace) {
  const agents = trace.kind === 'concurrent' ? trace.numAgents : 1
  if (agents > 2) throw new Error('a trace of more than two people cannot be gated: one message may mix two of them')
  const edits = Array.from({ length: agents }, () => [])
  const seen = [] // per transaction: how many edits of each agent it holds, its own included
  trace.txns.forEach(({ agent = 0, parents = [], patches }, index) => {
    const counts = new Array(agents).fill(0)
    for (const parent of parents) seen[parent].forEach((count, i) => { counts[i] = Math.max(counts[i], count) })
    const own = edits[agent].length
    if (agents > 1 && counts[agent] !== own) {
      throw new Error(`transaction ${index}: its agent had typed more than its parents hold`)
    }
    const needs = counts[1 - agent] ?? 0
    if (needs > 0) edits[1 - agent][needs - 1].cut = true
    edits[agent].push({ patches, needs, cut: own % WINDOW === WINDOW - 1 })
    counts[agent] = own + 1
    seen.push(counts)
  })
  for (const list of edits) if (list.length > 0) list.at(-1).cut = true
  return edits
}

/** A new document holding what `GET …/state` answers. */
async function storedDocument (url, name) {
  const { protocol, host, pathname } = new URL(url)
  const wedding = pathname.split('/').filter(Boolean).at(-1)
  const address = `${protocol === 'wss:' ? 'https:' : 'http:'}//${host}/api/weddings/${wedding}/documents/${name}/state`
  const response = await fetch(address)
  if (!response.ok) throw new Error(`GET ${address}: ${response.status} ${await response.text()}`)
  const doc = new Y.Doc()
  Y.applyUpdate(doc, new Uint8Array(await response.arrayBuffer()))
  return doc
}

function check (label, doc, expected) {
  const text = textOf(doc).toString()
  const pending = doc.store.pendingStructs !== null || doc.store.pendingDs !== null
  const equal = text === expected && !pending
  const first = expected.split('').findIndex((unit, i) => text[i] !== unit)
  const lengths = `${text.length} of ${expected.length} characters`
  const difference = `NOT EQUAL (${lengths}, first difference at ${first}${pending ? ', pending structs' : ''})`
  console.log(`${label}: ${equal ? 'equal' : difference}`)
  return equal
}

async function verify (trace, url, name) {
  const started = performance.now()
  const client = new Client(url, name)
  try {
    await client.ready()
    console.log(`cold client: synced in ${seconds(started).toFixed(3)} s`)
    const held = check('cold client', client.wire, trace.endContent)
    const stored = check('GET state', await storedDocument(url, name), trace.endContent)
    return held && stored
  } finally {
    client.close()
  }
}

async function replay (trace, url, name, batch) {
  const astral = trace.txns.some(({ patches }) => patches.some(patch => /[\u{10000}-\u{10ffff}]/u.test(patch[2])))
  const lists = editsOfAgents(trace)
  const firstID = randomInt(2 ** 31)
  const typists = lists.map((edits, agent) => new Typist(url, name, edits, astral, firstID + agent))
  const clients = typists.length > 1 ? typists : [...typists, new Client(url, name)]
  try {
    await Promise.all(clients.map(client => client.ready()))
    if (textOf(clients[0].wire).length > 0) throw new Error(`${name} holds a text already; name a new document`)
    if (trace.startContent) textOf(typists[0].editor).insert(0, trace.startContent)

    const started = performance.now()
    const total = trace.txns.length
    let reported = 0
    const progress = () => {
      const done = typists.reduce((sum, typist) => sum + typist.typed, 0)
      if (done - reported < total / 10) return
      reported = done
      console.log(`${done} of ${total} edits, ${seconds(started).toFixed(1)} s`)
    }
    await Promise.all(typists.map(typist => {
      const others = clients.filter(client => client !== typist)
      return typist.type(batch, others, progress)
    }))
    await Promise.all(typists.map((typist, i) => typist.integrate(lists[1 - i]?.length ?? 0)))
    const duration = seconds(started)
    console.log(`${total} edits in ${duration.toFixed(2)} s, ${Math.round(total / duration)} edits/s`)

    const held = clients.flatMap((client, i) => client.documents.map((doc, j) =>
      check(`client ${i + 1} ${j === 0 ? 'connection' : 'editor'}`, doc, trace.endContent)))
    return [...held, check('GET state', await storedDocument(url, name), trace.endContent)].every(Boolean)
  } finally {
    clients.forEach(client => client.close())
  }
}

async function main () {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { batch: { type: 'string', default: '1' }, verify: { type: 'boolean', default: false } }
  })
  const batch = Number(values.batch)
  if (positionals.length !== 3 || !Number.isInteger(batch) || batch < 1) {
    console.error('usage: replay.mjs [--verify] [--batch N] TRACE.json.gz ws://HOST:PORT/ws/WEDDING DOCUMENT')
    return 2
  }
  const [file, url, name] = positionals
  const trace = JSON.parse(gunzipSync(readFileSync(file)).toString('utf8'))
  const equal = values.verify ? await verify(trace, url, name) : await replay(trace, url, name, batch)
  return equal ? 0 : 1
}

process.exitCode = await main().catch(error => {
  console.error(error.message)
  return 1
})
