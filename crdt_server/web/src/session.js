// One open note: the document, its connection, its binding to the textarea, and what the page shows of them.
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'
import { TextBinding } from './binding.js'
import { COLOURS } from './place.js'
import { draw } from './carets.js'
import { peopleIn } from './people.js'
import { Receipts } from './receipts.js'

const webSocketUrl = (wedding) => {
  const url = new URL('ws/' + encodeURIComponent(wedding), location.href)
  url.protocol = url.protocol.replace('http', 'ws')
  url.search = url.hash = ''
  return url.href
}

export class Session {
  /** `page` is told: connection(state), receipts(number, synced), text(string), people(list), closed(code, reason). */
  constructor ({ wedding, note }, you, { area, mirror }, page) {
    this.area = area
    this.mirror = mirror
    this.page = page
    this.doc = new Y.Doc()
    this.ytext = this.doc.getText('text')
    // Without disableBc two tabs of one browser would talk past the server.
    this.provider = new WebsocketProvider(webSocketUrl(wedding), 'notes.' + note, this.doc, {
      connect: false,
      disableBc: true
    })
    this.waiting = 0
    this.frame = 0
    this.listeners = new AbortController()
    this.introduce(you)
    this.#watch()
    this.binding = new TextBinding(this.ytext, area, (text) => { page.text(text); this.#redraw() })
    this.provider.connect()
  }

  /** Tells everybody our name and colour. */
  introduce ({ name, colour }) {
    const color = COLOURS[colour]
    // Field names of the editor bindings for Yjs, so that their users see us too.
    this.provider.awareness.setLocalStateField('user', { name, color, colorLight: color + '33' })
  }

  close () {
    this.listeners.abort()
    cancelAnimationFrame(this.frame)
    this.binding.destroy()
    this.provider.destroy()
    this.doc.destroy()
  }

  #watch () {
    const { provider, page } = this
    new Receipts(this.doc, provider, (waiting) => { this.waiting = waiting; this.#report() })
    provider.on('status', ({ status }) => { page.connection(status); this.#report() })
    provider.on('sync', () => this.#report())
    provider.on('closed', ({ code, reason }) => page.closed(code, reason))
    provider.awareness.on('change', () => this.#redraw())
    document.addEventListener('selectionchange', () => this.#point(), { signal: this.listeners.signal })
    this.area.addEventListener('focus', () => this.#point(), { signal: this.listeners.signal })
    this.area.addEventListener('blur', () => this.#point(), { signal: this.listeners.signal })
  }

  #report () {
    this.page.receipts(this.waiting, this.provider.synced)
  }

  #point () {
    const { awareness } = this.provider
    const at = (index) => Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(this.ytext, index))
    let cursor = null
    if (document.activeElement === this.area) {
      const { selectionStart, selectionEnd, selectionDirection } = this.area
      const ends = selectionDirection === 'backward' ? [selectionEnd, selectionStart] : [selectionStart, selectionEnd]
      cursor = { anchor: at(ends[0]), head: at(ends[1]) }
    }
    if (JSON.stringify(cursor) !== JSON.stringify(awareness.getLocalState()?.cursor ?? null)) {
      awareness.setLocalStateField('cursor', cursor)
    }
  }

  #redraw () {
    cancelAnimationFrame(this.frame)
    this.frame = requestAnimationFrame(() => {
      const text = this.area.value
      const people = peopleIn(this.provider.awareness, this.doc, this.ytext)
      draw(this.mirror, text, people.filter(({ isYou }) => !isYou))
      this.page.people(people, text)
    })
  }
}
