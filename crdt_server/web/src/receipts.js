// Which of our edits are stored. The server sends every update back to everybody, its writer included, and only
// after the commit: what has come back survives a crash of the server.
//
// An edit is a range of our own clock and a set of deletions. It is confirmed when the server has sent both.
// After a reconnect the server may hold edits whose echo was lost with the old socket. It does not send those
// again, but names them in the state vector of its step 1; they count once its step 2, which it sends behind
// its pending commits, has arrived.
import * as Y from 'yjs'
import * as decoding from 'lib0/decoding'

const SYNC = 0
const STEP_1 = 0
const STEP_2 = 1

/** The parts of `range` that no one of the sorted `others` covers. */
const subtract = (range, others) => {
  const rest = []
  let { from } = range
  for (const { clock, len } of others) {
    if (clock + len <= from) continue
    if (clock >= range.to) break
    if (clock > from) rest.push({ from, to: clock })
    from = clock + len
  }
  if (from < range.to) rest.push({ from, to: range.to })
  return rest
}

export class Receipts {
  /** `onChange` is called with the number of edits that wait for their receipt. */
  constructor (doc, provider, onChange) {
    this.provider = provider
    this.onChange = onChange
    this.waiting = [] // { client, clock, deletes: Map<client, {from, to}[]> }
    this.confirmed = new Map() // client -> clock
    this.claimed = new Map()
    doc.on('update', (_update, origin, _doc, transaction) => {
      if (origin !== provider) this.#wrote(doc.clientID, transaction)
    })
    const read = provider.messageHandlers[SYNC]
    provider.messageHandlers[SYNC] = (encoder, decoder, ...rest) => {
      const copy = decoding.clone(decoder)
      read(encoder, decoder, ...rest)
      this.#heard(copy)
    }
    provider.on('connection-close', () => this.claimed.clear())
  }

  #wrote (client, { afterState, deleteSet }) {
    const deletes = new Map()
    for (const [author, ranges] of deleteSet.clients) {
      deletes.set(author, ranges.map(({ clock, len }) => ({ from: clock, to: clock + len })))
    }
    this.waiting.push({ client, clock: afterState.get(client) ?? 0, deletes })
    this.onChange(this.waiting.length)
  }

  #heard (decoder) {
    const kind = decoding.readVarUint(decoder)
    const payload = decoding.readVarUint8Array(decoder)
    if (kind === STEP_1) {
      this.claimed = Y.decodeStateVector(payload)
      return
    }
    if (kind === STEP_2) this.claimed.forEach((clock, client) => this.#confirm(client, clock))
    if (this.waiting.length === 0) return
    const { structs, ds } = Y.decodeUpdate(payload)
    for (const struct of structs) {
      if (!(struct instanceof Y.Skip)) this.#confirm(struct.id.client, struct.id.clock + struct.length)
    }
    this.waiting = this.waiting.filter((edit) => !this.#isStored(edit, ds.clients))
    this.onChange(this.waiting.length)
  }

  #confirm (client, clock) {
    if (clock > (this.confirmed.get(client) ?? 0)) this.confirmed.set(client, clock)
  }

  #isStored (edit, stored) {
    for (const [author, ranges] of edit.deletes) {
      const rest = ranges.flatMap((range) => subtract(range, stored.get(author) ?? []))
      if (rest.length === 0) edit.deletes.delete(author)
      else edit.deletes.set(author, rest)
    }
    return edit.deletes.size === 0 && edit.clock <= (this.confirmed.get(edit.client) ?? 0)
  }
}
