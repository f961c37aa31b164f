// The carets and selections of the others, drawn in a mirror: an invisible copy of the text that lies under the textarea
// with the same metrics. It also gives the textarea its height, so that the two never scroll apart.
import * as Y from 'yjs'
import type { Wedding } from 'crdt-server-client'

export type Note = Awaited<ReturnType<Wedding['note']>>

interface Awareness {
  readonly clientID: number
  getStates (): ReadonlyMap<number, any>
  getLocalState (): any
  setLocalStateField (name: string, value: unknown): void
  on (name: 'change', listener: () => void): void
  off (name: 'change', listener: () => void): void
}

interface Selecting { readonly name: string; readonly color: string; readonly anchor: number; readonly head: number }

const COLOR = /^#[\da-f]{6}$/i
const LONGEST_NAME = 40

export class Carets {
  readonly #text: Y.Text
  readonly #awareness: Awareness
  readonly #listeners = new AbortController()
  readonly #changed = (): void => this.redraw()
  #frame = 0

  constructor (readonly note: Note, readonly area: HTMLTextAreaElement, readonly mirror: HTMLElement) {
    this.#text = note.doc.getText('text')
    this.#awareness = note.awareness as Awareness
    const { signal } = this.#listeners
    document.addEventListener('selectionchange', () => this.#point(), { signal })
    for (const event of ['focus', 'blur']) area.addEventListener(event, () => this.#point(), { signal })
    this.#awareness.on('change', this.#changed)
  }

  end (): void {
    this.#listeners.abort()
    cancelAnimationFrame(this.#frame)
    this.#awareness.off('change', this.#changed)
  }

  /** Says to the others where this person is. */
  #point (): void {
    const at = (index: number): unknown => Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(this.#text, index))
    let cursor = null
    if (document.activeElement === this.area) {
      const { selectionStart, selectionEnd, selectionDirection } = this.area
      const [anchor, head] = selectionDirection === 'backward' ? [selectionEnd, selectionStart] : [selectionStart, selectionEnd]
      cursor = { anchor: at(anchor), head: at(head) }
    }
    if (JSON.stringify(cursor) !== JSON.stringify(this.#awareness.getLocalState()?.cursor ?? null)) this.#awareness.setLocalStateField('cursor', cursor)
  }

  /** Draws anew, with the next frame. */
  redraw (): void {
    cancelAnimationFrame(this.#frame)
    this.#frame = requestAnimationFrame(() => draw(this.mirror, this.area.value, this.#others()))
  }

  #others (): Selecting[] {
    return [...this.#awareness.getStates()].flatMap(([id, state]) => {
      if (id === this.#awareness.clientID) return []
      const [anchor, head] = [this.#indexOf(state?.cursor?.anchor), this.#indexOf(state?.cursor?.head)]
      if (anchor === undefined || head === undefined) return []
      const { name, color } = state.user ?? {}
      return [{ name: String(name ?? '').slice(0, LONGEST_NAME), color: COLOR.test(color) ? color : 'var(--accent)', anchor, head }]
    })
  }

  #indexOf (json: unknown): number | undefined {
    if (json === null || typeof json !== 'object') return undefined
    try {
      const absolute = Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(json), this.note.doc)
      return absolute !== null && absolute.type === this.#text ? absolute.index : undefined
    } catch {
      return undefined // presence comes from others, in any shape
    }
  }
}

const element = (name: string, color: string): HTMLElement => {
  const span = document.createElement('span')
  span.className = name
  span.style.setProperty('--person', color)
  return span
}

const caret = ({ name, color }: Selecting): HTMLElement => {
  const span = element('caret', color)
  const flag = element('flag', color)
  flag.textContent = name
  span.append(flag)
  return span
}

const draw = (mirror: HTMLElement, text: string, marks: readonly Selecting[]): void => {
  const stops = [...new Set([0, text.length, ...marks.flatMap(({ anchor, head }) => [anchor, head])])].filter((at) => at <= text.length).sort((one, other) => one - other)
  const fragment = document.createDocumentFragment()
  stops.forEach((from, nth) => {
    for (const mark of marks) if (mark.head === from) fragment.append(caret(mark))
    const to = stops[nth + 1]
    if (to === undefined) return
    const selecting = marks.find(({ anchor, head }) => Math.min(anchor, head) <= from && to <= Math.max(anchor, head))
    const part = selecting === undefined ? document.createElement('span') : element('selected', selecting.color)
    part.textContent = text.slice(from, to)
    fragment.append(part)
  })
  fragment.append('\n') // a last empty line has no height without it
  mirror.replaceChildren(fragment)
}
