// One document, connected: stock Yjs and stock y-websocket. What is ours is only how its state is told.
import * as Y from 'yjs'
import * as decoding from 'lib0/decoding'
import { WebsocketProvider } from 'y-websocket'
import { Receipts } from './receipts.js'
import { partOf } from './rights.js'

const AUTH = 2

const webSocketUrl = (wedding) => {
  const url = new URL('ws/' + encodeURIComponent(wedding), location.href)
  url.protocol = url.protocol.replace('http', 'ws')
  url.search = url.hash = ''
  return url.href
}

/** The content of a notice: `{ reverted: [...], why }`, or any text. */
export const readDenied = (reason) => {
  try {
    const { reverted, why } = JSON.parse(reason)
    return { reverted: Array.isArray(reverted) ? reverted : [], why: typeof why === 'string' ? why : '' }
  } catch {
    return { reverted: [], why: reason } // older servers and other ones send a plain sentence
  }
}

export class Link {
  /**
   * `on` is told: changed(link) when the document has changed, state(link) when the connection or the receipts have,
   * presence(link), denied(link, { reverted, why }). `proof` is the query that proves who we are.
   */
  constructor (wedding, name, proof, on) {
    this.name = name
    this.part = partOf(name)
    this.doc = new Y.Doc()
    // Without disableBc two tabs of one browser would talk past the server.
    this.provider = new WebsocketProvider(webSocketUrl(wedding), name, this.doc, {
      connect: false,
      disableBc: true,
      params: proof
    })
    this.awareness = this.provider.awareness
    this.status = 'connecting'
    this.waiting = 0
    this.everSynced = false
    this.closed = null // { code, reason } once the server has shut us out
    this.#watch(on)
  }

  get synced () {
    return this.provider.synced
  }

  #watch (on) {
    const { provider } = this
    new Receipts(this.doc, provider, (waiting) => { this.waiting = waiting; on.state(this) })
    provider.on('status', ({ status }) => { this.status = status; on.state(this) })
    provider.on('sync', (synced) => { this.everSynced ||= synced; on.state(this) })
    provider.on('closed', ({ code, reason }) => { this.closed = { code, reason }; on.state(this) })
    provider.awareness.on('change', () => on.presence(this))
    provider.messageHandlers[AUTH] = (_encoder, decoder) => {
      decoding.readVarUint(decoder) // the subtype: a notice
      on.denied(this, readDenied(decoding.readVarString(decoder)))
    }
    this.doc.on('update', () => on.changed(this))
  }

  /** Connects anew with another proof; what is not stored yet is sent again. */
  renew (proof, offline) {
    this.closed = null
    this.provider.params = proof
    if (offline) return
    this.provider.disconnect()
    this.provider.connect()
  }

  close () {
    this.provider.destroy()
    this.doc.destroy()
  }
}
