// Binds a Y.Text to a textarea, both ways. Offsets of both are UTF-16 code units.
//
// What the textarea shows may be behind the document only while an input method composes a character: changing the value
// then would break the composition. The changes of others wait in `held`, and our own edit is moved over them when the
// composition ends.
import { simpleDiffStringWithCursor } from 'lib0/diff'
import * as Y from 'yjs'

interface Change { readonly retain?: number; readonly insert?: unknown; readonly delete?: number }
type Delta = readonly Change[]

// An embedded object takes one place in the Y.Text, so it must take one in the textarea.
const OBJECT = '\uFFFC'

const asText = (delta: Delta): string => delta.map(({ insert }) => (typeof insert === 'string' ? insert : OBJECT)).join('')

/** Where `index` lies after `delta`; an insertion exactly there moves it only if `isSticky`. */
const moved = (index: number, delta: Delta, isSticky = false): number => {
  let at = 0
  for (const { retain = 0, insert, delete: removed = 0 } of delta) {
    if (at > index) break
    at += retain
    if (insert !== undefined) {
      const length = typeof insert === 'string' ? insert.length : 1
      if (at < index || (isSticky && at === index)) index += length
      at += length
    }
    if (at < index) index -= Math.min(removed, index - at)
  }
  return index
}

/** Both UTF-16 units of a character are one: an edit does not begin or end between them. */
const aroundCharacters = (shown: string, value: string, caret: number): { index: number; remove: number; insert: string } => {
  const { index, remove, insert } = simpleDiffStringWithCursor(shown, value, caret)
  const isInside = (text: string, at: number): boolean => at > 0 && /[\uD800-\uDBFF]/.test(text[at - 1]!) && /[\uDC00-\uDFFF]/.test(text[at] ?? '')
  const before = isInside(shown, index) || isInside(value, index) ? 1 : 0
  const after = isInside(shown, index + remove) || isInside(value, index + insert.length) ? 1 : 0
  return { index: index - before, remove: remove + before + after, insert: value.slice(index - before, index + insert.length + after) }
}

export class TextBinding {
  readonly #undo: Y.UndoManager
  readonly #listeners = new AbortController()
  readonly #observer = (event: Y.YTextEvent, { origin }: Y.Transaction): void => this.#changed(event.delta as Delta, origin)
  #shown = ''
  #held: Delta[] = []
  #isComposing = false
  #caretBefore = 0

  /** `onChange` is called with the text shown whenever it has changed. */
  constructor (readonly text: Y.Text, readonly area: HTMLTextAreaElement, readonly onChange: (text: string) => void) {
    this.#undo = new Y.UndoManager(text, { trackedOrigins: new Set([this]) })
    text.observe(this.#observer)
    this.#listen('beforeinput', (event) => this.#beforeInput(event as InputEvent))
    this.#listen('keydown', (event) => this.#keyDown(event as KeyboardEvent))
    this.#listen('input', () => { if (!this.#isComposing) this.#push() })
    this.#listen('compositionstart', () => { this.#isComposing = true })
    this.#listen('compositionend', () => this.#composed())
    this.#show()
  }

  destroy (): void {
    this.#listeners.abort()
    this.text.unobserve(this.#observer)
    this.#undo.destroy()
  }

  #listen (name: string, listener: (event: Event) => void): void {
    this.area.addEventListener(name, listener, { signal: this.#listeners.signal })
  }

  #show (): void {
    this.#shown = asText(this.text.toDelta())
    if (this.area.value !== this.#shown) this.area.value = this.#shown
    this.onChange(this.#shown)
  }

  #beforeInput (event: InputEvent): void {
    this.#caretBefore = this.area.selectionStart
    if (event.inputType !== 'historyUndo' && event.inputType !== 'historyRedo') return
    event.preventDefault()
    this.#travel(event.inputType === 'historyRedo')
  }

  // The browser's own history knows nothing of the others' edits, and stops offering itself after one of them.
  #keyDown (event: KeyboardEvent): void {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return
    const key = event.key.toLowerCase()
    if (key !== 'z' && (key !== 'y' || event.metaKey)) return
    event.preventDefault()
    event.stopPropagation() // to the page it would be the last change of the plan
    this.#travel(key === 'y' || event.shiftKey)
  }

  #travel (isForward: boolean): void {
    if (isForward) this.#undo.redo()
    else this.#undo.undo()
  }

  #composed (): void {
    this.#isComposing = false
    this.#push()
    this.#release()
  }

  #push (): void {
    const { value } = this.area
    if (value === this.#shown) return
    const caret = Math.min(this.#caretBefore, this.area.selectionStart)
    const { index, remove, insert } = aroundCharacters(this.#shown, value, caret)
    const move = (place: number): number => this.#held.reduce((at, delta) => moved(at, delta), place)
    const [from, to] = [move(index), move(index + remove)]
    this.#shown = value
    this.text.doc!.transact(() => {
      this.text.delete(from, to - from)
      this.text.insert(from, insert)
    }, this)
    this.onChange(value)
  }

  #release (): void {
    if (this.#held.length === 0) return
    const { selectionStart, selectionEnd } = this.area
    const move = (index: number): number => this.#held.reduce((at, delta) => moved(at, delta), index)
    const [start, end] = [move(selectionStart), move(selectionEnd)]
    this.#held = []
    this.#show()
    this.area.setSelectionRange(start, end)
  }

  #changed (delta: Delta, origin: unknown): void {
    if (origin === this) return
    if (this.#isComposing) {
      this.#held.push(delta)
      return
    }
    const { selectionStart, selectionEnd, selectionDirection } = this.area
    // Undoing puts the caret behind what came back.
    const isOurs = origin === this.#undo
    const [start, end] = [moved(selectionStart, delta, isOurs), moved(selectionEnd, delta, isOurs)]
    this.#show()
    this.area.setSelectionRange(start, end, selectionDirection)
  }
}
