// The note: its binding to the textarea, and the carets of the others in it.
import * as Y from 'yjs'
import { TextBinding } from './binding.js'
import { draw, selectionOf } from './carets.js'
import { say } from './dom.js'
import { personOf } from './people.js'

export class NoteView {
  /** Shows the text of a link in a textarea, with a mirror under it. */
  constructor ({ doc, awareness }, area, mirror, count) {
    this.doc = doc
    this.awareness = awareness
    this.ytext = doc.getText('text')
    this.area = area
    this.mirror = mirror
    this.frame = 0
    this.listeners = new AbortController()
    const { signal } = this.listeners
    document.addEventListener('selectionchange', () => this.#point(), { signal })
    for (const event of ['focus', 'blur']) area.addEventListener(event, () => this.#point(), { signal })
    awareness.on('change', () => this.redraw())
    this.binding = new TextBinding(this.ytext, area, (text) => { this.#count(count, text); this.redraw() })
  }

  close () {
    this.listeners.abort()
    cancelAnimationFrame(this.frame)
    this.binding.destroy()
  }

  #count (element, text) {
    const words = text.trim() === '' ? 0 : text.trim().split(/\s+/).length
    say(element, `${words} ${words === 1 ? 'word' : 'words'}`)
  }

  #point () {
    const { awareness } = this
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

  /** Draws the carets of the others anew, with the next frame. */
  redraw () {
    cancelAnimationFrame(this.frame)
    this.frame = requestAnimationFrame(() => {
      const others = [...this.awareness.getStates()]
        .filter(([id, state]) => id !== this.awareness.clientID && state !== null && typeof state === 'object')
        .map(([id, state]) => ({ ...personOf(state, id), selection: selectionOf(this.doc, this.ytext, state) }))
      draw(this.mirror, this.area.value, others)
    })
  }
}
