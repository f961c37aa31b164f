// Which of our edits are stored. The server sends every update back to everybody, its writer included, and only after the
// commit: what has come back survives a crash of the server.
//
// An edit is a range of clocks and a set of deletions. It is confirmed when the server has sent both. After a reconnection
// the server may hold edits whose echo was lost with the old socket. It does not send those again, but names them in the
// state vector of its step 1; they count once its step 2, which it sends behind its pending commits, has arrived.
import * as decoding from 'lib0/decoding'
import type { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const SYNC = 0
const STEP_1 = 0
const STEP_2 = 1

interface Range { readonly from: number; readonly to: number }
interface Deleted { readonly clock: number; readonly len: number }
interface Edit { readonly clocks: Map<number, number>; readonly deletes: Map<number, Range[]> }

/** The parts of a range that none of the sorted others covers. */
const subtract = (range: Range, others: readonly Deleted[]): Range[] => {
  const rest: Range[] = []
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

const deletesOf = (clients: ReadonlyMap<number, readonly Deleted[]>): Map<number, Range[]> =>
  new Map([...clients].map(([client, ranges]) => [client, ranges.map(({ clock, len }) => ({ from: clock, to: clock + len }))]))

export class Receipts {
  #waiting: Edit[] = []
  #claimed = new Map<number, number>()
  readonly #confirmed = new Map<number, number>()

  /** `changed` is called when the number of edits that wait for their receipt may be another one. */
  constructor (doc: Y.Doc, provider: WebsocketProvider, isLocal: (origin: unknown) => boolean, readonly changed: () => void) {
    doc.on('update', (_update: Uint8Array, origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) => {
      if (isLocal(origin)) this.#wrote(doc.clientID, transaction)
    })
    const handlers = provider.messageHandlers as ((...all: any[]) => void)[]
    const read = handlers[SYNC]!
    handlers[SYNC] = (encoder, decoder, ...rest) => {
      const copy = decoding.clone(decoder)
      read(encoder, decoder, ...rest)
      this.#received(copy)
    }
    provider.on('connection-close', () => this.#claimed.clear())
  }

  get waiting (): number {
    return this.#waiting.length
  }

  /** All that a copy held when it was loaded waits, until the server has named it. */
  expect (doc: Y.Doc): void {
    const { ds, sv } = Y.snapshot(doc)
    this.#waiting.push({ clocks: new Map(sv), deletes: deletesOf(ds.clients) })
    this.changed()
  }

  #wrote (client: number, { afterState, deleteSet }: Y.Transaction): void {
    this.#waiting.push({ clocks: new Map([[client, afterState.get(client) ?? 0]]), deletes: deletesOf(deleteSet.clients) })
    this.changed()
  }

  #received (decoder: decoding.Decoder): void {
    const kind = decoding.readVarUint(decoder)
    const payload = decoding.readVarUint8Array(decoder)
    if (kind === STEP_1) {
      this.#claimed = Y.decodeStateVector(payload)
      return
    }
    if (kind === STEP_2) this.#claimed.forEach((clock, client) => this.#confirm(client, clock))
    if (this.#waiting.length > 0) this.#settle(payload)
  }

  #settle (update: Uint8Array): void {
    const { structs, ds } = Y.decodeUpdate(update)
    for (const struct of structs) {
      if (!(struct instanceof Y.Skip)) this.#confirm(struct.id.client, struct.id.clock + struct.length)
    }
    this.#waiting = this.#waiting.filter((edit) => !this.#isStored(edit, ds.clients))
    this.changed()
  }

  #confirm (client: number, clock: number): void {
    if (clock > (this.#confirmed.get(client) ?? 0)) this.#confirmed.set(client, clock)
  }

  #isStored ({ clocks, deletes }: Edit, stored: ReadonlyMap<number, readonly Deleted[]>): boolean {
    for (const [author, ranges] of deletes) {
      const rest = ranges.flatMap((range) => subtract(range, stored.get(author) ?? []))
      if (rest.length === 0) deletes.delete(author)
      else deletes.set(author, rest)
    }
    return deletes.size === 0 && [...clocks].every(([client, clock]) => clock <= (this.#confirmed.get(client) ?? 0))
  }
}
