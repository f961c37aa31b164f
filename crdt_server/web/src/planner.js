// All documents of one wedding that the page shows, as one thing: one state of connection, one count of edits that are
// not stored yet, one list of people. Of each part of the plan it opens the document that its person may open, whole or
// derived; a part that there is none of is empty.
import * as Y from 'yjs'
import { Link } from './link.js'
import { COLOURS } from './place.js'
import { peopleIn } from './people.js'
import { PARTS, documentFor, isDerived, mayWrite, noteFor } from './rights.js'

const EXPIRED = 4401 // with another token these go on

// One tab of a browser is one person in a list, however many documents it has open.
const TAB = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('')

export class Planner {
  /**
   * `joined` is the answer of the server to who may do what, `proof` the query of WebSockets. `on` is told:
   * changed(document name), state(planner), presence(planner), closed(link), denied(document name, { reverted, why }).
   */
  constructor (place, joined, proof, on) {
    this.on = on
    this.place = place
    this.joined = joined
    this.proof = proof
    this.offline = false
    this.at = null
    this.links = new Map()
    this.documents = new Map() // part -> document as the server has described it
    this.nothing = new Y.Doc()
    for (const part of PARTS) this.#open(part, documentFor(joined, part))
    this.threadName = ''
    this.openNote(place.note)
  }

  /** The root of a part of the plan as a map. */
  map (part, root) {
    return (this.links.get(part)?.doc ?? this.nothing).getMap(root)
  }

  /** Whether we may write a field `{ root, id, record, key }` of a part. */
  mayWrite (part, field) {
    return mayWrite(this.documents.get(part), this.joined.person, field)
  }

  /** Whether a part is shown by a document that is derived for somebody like us. */
  isDerived (part) {
    return isDerived(this.links.get(part)?.name ?? '')
  }

  /** The link of the note, or undefined where we may open none. */
  get note () {
    return this.links.get(this.noteName)
  }

  /** Opens another note in place of the one that is open. */
  openNote (note) {
    this.note?.close()
    this.links.delete(this.noteName)
    this.noteName = 'notes.' + note
    this.#open(this.noteName, noteFor(this.joined, note))
    this.on.state(this)
  }

  /** The link of the conversation that is open, or undefined. */
  get thread () {
    return this.links.get(this.threadName)
  }

  /** Opens a conversation in place of the one that is open; '': none. Who takes part the server knows: it decides. */
  openThread (thread) {
    const name = thread === '' ? '' : 'thread.' + thread
    if (name === this.threadName && (name === '' || this.thread.closed === null)) return
    this.thread?.close()
    this.links.delete(this.threadName)
    this.threadName = name
    this.#open(name, name === '' ? null : { name, write: 'all', writable: [] })
    this.on.state(this)
  }

  #open (part, document) {
    if (document === null) return
    const { on } = this
    const { name } = document
    const link = new Link(this.place.wedding, name, this.proof, {
      changed: () => on.changed(name),
      state: () => {
        if (link.closed && !link.told) on.closed(link)
        link.told = link.closed !== null
        on.state(this)
      },
      presence: () => on.presence(this),
      denied: (_, what) => on.denied(name, what)
    })
    this.links.set(part, link)
    this.documents.set(part, document)
    this.#present(link)
    if (!this.offline) link.provider.connect()
  }

  /** Links the server has not shut. */
  get open () {
    return [...this.links.values()].filter((link) => link.closed === null)
  }

  get waiting () {
    const links = [...this.links.values()].filter(({ closed }) => closed === null || closed.code === EXPIRED)
    return links.reduce((sum, link) => sum + link.waiting, 0)
  }

  get synced () {
    return this.open.every((link) => link.synced)
  }

  get everSynced () {
    return this.open.every((link) => link.everSynced)
  }

  /** connected, connecting, disconnected or closed: that of the link which is worst off. */
  get status () {
    if (this.open.length === 0) return 'closed'
    return ['disconnected', 'connecting'].find((state) => this.open.some((link) => link.status === state)) ?? 'connected'
  }

  setOffline (offline) {
    this.offline = offline
    for (const { provider } of this.open) offline ? provider.disconnect() : provider.connect()
    this.on.state(this)
  }

  /** Goes on with another proof of who we are. */
  renew (proof) {
    this.proof = proof
    for (const link of this.links.values()) link.renew(proof, this.offline)
    this.on.state(this)
  }

  /** Tells everybody our name and colour. */
  introduce (place) {
    this.place = { ...this.place, ...place }
    for (const link of this.links.values()) this.#present(link)
  }

  #present ({ awareness }) {
    const { user, name, role, colour } = this.place
    const color = COLOURS[colour]
    // Names of the fields as the editor bindings for Yjs have them, so that their users see us too.
    awareness.setLocalStateField('user', { id: user, name, role, color, colorLight: color + '33' })
    awareness.setLocalStateField('tab', TAB)
  }

  /** Tells everybody which record we are in: { document, root, record }, or null. */
  goTo (at) {
    if (JSON.stringify(at) === JSON.stringify(this.at)) return
    if (this.at !== null) this.links.get(this.at.document)?.awareness.setLocalStateField('at', null)
    this.at = at
    if (at === null) return
    const { document, root, record } = at
    this.links.get(document)?.awareness.setLocalStateField('at', { root, record })
  }

  /** Everybody who has this wedding open, ourselves first. */
  get people () {
    return peopleIn([...this.links.values()], TAB)
  }

  close () {
    for (const link of this.links.values()) link.close()
    this.nothing.destroy()
  }
}
