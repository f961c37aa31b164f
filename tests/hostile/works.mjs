// What honest clients do all day. A work has `step`, called after each `pause` of milliseconds until all stop;
// `origins` of the transactions that are its own edits; `connects`: whether its client is online from the beginning.
import * as Y from 'yjs'

const TYPED = 4000
const RECORDS = { // by document: a root, what a record has, and the key to edit
  guests: ['guests', { firstName: 'Zoë', kind: 'adult', side: 'a', order: 'a0' }, 'lastName'],
  timeline: ['items', { title: 'Speech', start: 5, duration: 1, order: 'a0' }, 'title'],
  budget: ['items', { name: 'Candles', order: 'a0' }, 'name']
}
const NOTE_CHARACTERS = 19000
const OFFLINE = { guests: 2500, transactions: 25, everySeconds: 15 }
const UNDONE = 25

class Work {
  origins = new Set(['me'])
  connects = true

  // `number`: among those at the same work.
  constructor (client, number) {
    Object.assign(this, { client, number, doc: client.doc, random: client.random })
  }

  pause () { return 200 + this.random() * 300 }

  record (id, note) {
    const [root, fields] = RECORDS[this.client.document]
    const record = new Y.Map(Object.entries(fields))
    record.set('note', new Y.Text(note))
    this.doc.getMap(root).set(id, record)
  }
}

// Types into one text with everybody else.
class Note extends Work {
  step () {
    const { random, doc } = this
    const text = doc.getText('honest')
    doc.transact(() => {
      const at = Math.floor(random() * Math.min(text.length + 1, 3000))
      if (text.length > TYPED) text.delete(Math.floor(random() * 3000), 500)
      text.insert(at, random() < 0.1 ? 'né💍e' : `w${Math.floor(random() * 1e6)} `)
      if (random() < 0.2) doc.getMap('honest-map').set(`${this.client.id}`, this.client.edits.length)
    }, 'me')
  }
}

// Edits a record of its own, in a wedding that has many.
class Records extends Work {
  step () {
    const [root, , key] = RECORDS[this.client.document]
    const id = `h_${this.client.id}`
    this.doc.transact(() => {
      const record = this.doc.getMap(root).get(id)
      if (record === undefined) this.record(id, '')
      else if (this.random() < 0.7) record.set(key, `Edit ${this.client.edits.length}`)
      else record.get('note').insert(0, 'word ')
    }, 'me')
  }
}

// Several in turns in one long note of a record.
class Typist extends Work {
  pause () { return 30 + this.random() * 40 }

  step () {
    const record = this.doc.getMap('guests').get('g_typists')
    this.doc.transact(() => {
      if (record === undefined) {
        if (this.number === 0) this.record('g_typists', 'n'.repeat(NOTE_CHARACTERS))
        return
      }
      const note = record.get('note')
      if (note.length > NOTE_CHARACTERS + 500) note.delete(1000, 500)
      note.insert(Math.floor(this.random() * note.length), 'hello ')
    }, 'me')
  }
}

// Enters hundreds of kilobytes without a network, and comes back once.
class Offline extends Work {
  connects = false
  #due = Date.now() + this.number * OFFLINE.everySeconds * 1000

  step () {
    if (this.client.begun || Date.now() < this.#due) return
    for (let made = 0; made < OFFLINE.guests;) {
      this.doc.transact(() => {
        for (let n = 0; n < OFFLINE.guests / OFFLINE.transactions; n++) this.record(`g_${made++}`, '')
      }, 'me')
    }
    this.client.connect()
  }
}

// Adds records, and undoes every addition.
class Undoer extends Work {
  #left = UNDONE
  #undo = new Y.UndoManager(this.doc.getMap('guests'), { captureTimeout: 0, trackedOrigins: new Set(['me']) })
  origins = new Set(['me', this.#undo])

  pause () { return 60 }

  step () {
    if (this.#left > 0) {
      this.doc.transact(() => this.record(`u_${this.client.id}_${this.client.edits.length}`, ''), 'me')
      this.#left--
    } else if (this.#undo.undoStack.length > 0) this.#undo.undo()
    else this.#left = UNDONE
  }
}

export const WORKS = { note: Note, records: Records, typists: Typist, offline: Offline, undoers: Undoer }
