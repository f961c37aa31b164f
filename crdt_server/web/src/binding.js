// Binds a Y.Text to a textarea, both ways. Offsets of both are UTF-16 code units.
//
// What the textarea shows may be behind the document only while an input method composes a character: changing
// the value then would break the composition. The changes of others wait in `held` and our own edit is moved
// over them when the composition ends.
import * as Y from 'yjs'
import { simpleDiffStringWithCursor } from 'lib0/diff'

// An embedded object takes one place in the Y.Text, so it must take one in the textarea.
const OBJECT = '\uFFFC'

const asText = (delta) => delta.map(({ insert }) => (typeof insert === 'string' ? insert : OBJECT)).join('')

/** Where `index` lies after `delta`; an insertion exactly there moves it only if `sticky`. */
const moved = (index, delta, sticky = false) => {
  let at = 0
  for (const { retain = 0, insert, delete: removed = 0 } of delta) {
    if (at > index) break
    at += retain
    if (insert !== undefined) {
      const length = typeof insert === 'string' ? insert.length : 1
      if (at < index || (sticky && at === index)) index += length
      at += length
    }
    if (at < index) index -= Math.min(removed, index - at)
  }
  return index
}

export class TextBinding {
  /** `onChange` is called with the text shown whenever it has changed. */
  constructor (ytext, area, onChange) {
    this.ytext = ytext
    this.area = area
    this.onChange = onChange
    this.shown = ''
    this.held = []
    this.composing = false
    this.caretBefore = 0
    this.undo = new Y.UndoManager(ytext, { trackedOrigins: new Set([this]) })
    this.listeners = new AbortController()
    this.observer = (event, transaction) => this.#changed(event.delta, transaction.origin)
    ytext.observe(this.observer)
    this.#listen('beforeinput', (event) => this.#beforeInput(event))
    this.#listen('keydown', (event) => this.#keyDown(event))
    this.#listen('input', () => { if (!this.composing) this.#push() })
    this.#listen('compositionstart', () => { this.composing = true })
    this.#listen('compositionend', () => { this.composing = false; this.#push(); this.#release() })
    this.#show(asText(ytext.toDelta()))
  }

  destroy () {
    this.listeners.abort()
    this.ytext.unobserve(this.observer)
    this.undo.destroy()
  }

  #listen (name, listener) {
    this.area.addEventListener(name, listener, { signal: this.listeners.signal })
  }

  #show (text) {
    this.shown = text
    if (this.area.value !== text) this.area.value = text
    this.onChange(text)
  }

  #beforeInput (event) {
    this.caretBefore = this.area.selectionStart
    if (event.inputType === 'historyUndo' || event.inputType === 'historyRedo') {
      event.preventDefault()
      this.#travel(event.inputType === 'historyRedo')
    }
  }

  // The browser's own history knows nothing of the others' edits, and stops offering itself after one of them.
  #keyDown (event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return
    const key = event.key.toLowerCase()
    if (key !== 'z' && (key !== 'y' || event.metaKey)) return
    event.preventDefault()
    this.#travel(key === 'y' || event.shiftKey)
  }

  #travel (forward) {
    if (forward) this.undo.redo()
    else this.undo.undo()
  }

  #push () {
    const value = this.area.value
    if (value === this.shown) return
    const caret = Math.min(this.caretBefore, this.area.selectionStart)
    const { index, remove, insert } = simpleDiffStringWithCursor(this.shown, value, caret)
    const from = this.held.reduce((at, delta) => moved(at, delta), index)
    const to = this.held.reduce((at, delta) => moved(at, delta), index + remove)
    this.shown = value
    this.ytext.doc.transact(() => {
      this.ytext.delete(from, to - from)
      this.ytext.insert(from, insert)
    }, this)
    this.onChange(value)
  }

  #release () {
    if (this.held.length === 0) return
    const { selectionStart, selectionEnd } = this.area
    const move = (index) => this.held.reduce((at, delta) => moved(at, delta), index)
    const [start, end] = [move(selectionStart), move(selectionEnd)]
    this.held = []
    this.#show(asText(this.ytext.toDelta()))
    this.area.setSelectionRange(start, end)
  }

  #changed (delta, origin) {
    if (origin === this) return
    if (this.composing) {
      this.held.push(delta)
      return
    }
    const { selectionStart, selectionEnd, selectionDirection } = this.area
    // Undoing puts the caret behind what came back.
    const ours = origin === this.undo
    const [start, end] = [moved(selectionStart, delta, ours), moved(selectionEnd, delta, ours)]
    this.#show(asText(this.ytext.toDelta()))
    this.area.setSelectionRange(start, end, selectionDirection)
  }
}
