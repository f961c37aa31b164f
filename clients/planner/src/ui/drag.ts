// Dragging between elements by mouse, pen or finger: what is taken is a list of ids, and where it can be put decides for
// itself. A finger takes something when it has rested there for a moment: before that, it scrolls. While something is
// dragged, a preview follows the pointer once for each frame, and the marks `data-dragged` and `data-over` are set at the
// elements themselves: nothing is drawn anew.
import type { RefObject } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

const STILL_PX = 4
const REST_MS = 300
const EDGE_PX = 40
const SCROLL_PX = 12

type OnDrop = (ids: readonly string[]) => void

const places = new Map<Element, { readonly current: OnDrop }>()

/** Makes an element a place where something can be put. */
export const useDrop = (element: RefObject<HTMLElement>, onDrop: OnDrop): void => {
  const now = useRef(onDrop)
  now.current = onDrop
  useEffect(() => {
    const place = element.current!
    places.set(place, now)
    return () => { places.delete(place) }
  }, [])
}

const withParents = function * (element: Element | null): Generator<HTMLElement> {
  for (let each = element; each !== null; each = each.parentElement) if (each instanceof HTMLElement) yield each
}

const placeAbove = (element: Element | null): HTMLElement | undefined => {
  for (const each of withParents(element)) if (places.has(each)) return each
  return undefined
}

/** Scrolls the list under the pointer, or the page, as long as the pointer is near its upper or lower edge. */
const scrollAtEdge = (element: Element | null, y: number): void => {
  for (const each of withParents(element)) {
    if (each.scrollHeight <= each.clientHeight || !/auto|scroll/.test(getComputedStyle(each).overflowY)) continue
    const { top, bottom } = each.getBoundingClientRect()
    each.scrollBy(0, y < top + EDGE_PX ? -SCROLL_PX : y > bottom - EDGE_PX ? SCROLL_PX : 0)
    return
  }
}

const labelOf = (element: HTMLElement): HTMLElement => {
  const label = document.createElement('div')
  label.className = 'drag-preview'
  label.ariaHidden = 'true'
  label.textContent = element.textContent
  return label
}

/** What is under way from the press on; `begin` takes the ids from their element. */
class Drag {
  private label?: HTMLElement
  private over: HTMLElement | undefined
  private frame = 0
  private x: number
  private y: number

  constructor (private readonly from: HTMLElement, private readonly ids: readonly string[], { clientX, clientY }: PointerEvent) {
    this.x = clientX
    this.y = clientY
  }

  get hasBegun (): boolean {
    return this.label !== undefined
  }

  begin (pointer: number): void {
    this.label = document.body.appendChild(labelOf(this.from))
    this.from.dataset['dragged'] = 'true'
    // Of an element that stays, whatever becomes of the one that was pressed; and no click follows there.
    document.documentElement.setPointerCapture(pointer)
    this.draw()
  }

  /** How far the pointer is from where it was last. */
  distance ({ clientX, clientY }: PointerEvent): number {
    return Math.hypot(clientX - this.x, clientY - this.y)
  }

  move ({ clientX, clientY }: PointerEvent): void {
    this.x = clientX
    this.y = clientY
    this.frame ||= requestAnimationFrame(() => this.draw())
  }

  private draw (): void {
    this.frame = 0
    const under = document.elementFromPoint(this.x, this.y)
    scrollAtEdge(under, this.y)
    this.mark(placeAbove(under))
    this.label!.style.transform = `translate(${this.x}px, ${this.y}px)`
  }

  private mark (place: HTMLElement | undefined): void {
    if (place === this.over) return
    if (this.over !== undefined) delete this.over.dataset['over']
    if (place !== undefined) place.dataset['over'] = 'true'
    this.over = place
  }

  end (isDropped: boolean): void {
    if (this.label === undefined) return
    cancelAnimationFrame(this.frame)
    this.label.remove()
    delete this.from.dataset['dragged']
    this.mark(undefined)
    const place = placeAbove(document.elementFromPoint(this.x, this.y))
    if (isDropped && place !== undefined) places.get(place)!.current(this.ids)
  }
}

/** For `onPointerDown` of an element that can be dragged; no ids: it cannot. */
export const drags = (ids: readonly string[]) => (down: PointerEvent): void => {
  if (ids.length === 0 || down.button !== 0 || !down.isPrimary) return
  const isTouch = down.pointerType === 'touch'
  const drag = new Drag(down.currentTarget as HTMLElement, ids, down)
  const over = new AbortController()
  const { signal } = over
  const rest = isTouch ? setTimeout(() => drag.begin(down.pointerId), REST_MS) : undefined
  const end = (isDropped: boolean): void => {
    clearTimeout(rest)
    over.abort()
    drag.end(isDropped)
  }
  const move = (event: PointerEvent): void => {
    if (event.pointerId !== down.pointerId) return
    if (!drag.hasBegun) {
      if (drag.distance(event) <= STILL_PX) return
      if (isTouch) return end(false) // it scrolls
      drag.begin(down.pointerId)
    }
    drag.move(event)
  }
  const escape = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape' || !drag.hasBegun) return
    event.stopPropagation()
    end(false)
  }
  addEventListener('pointermove', move, { signal })
  addEventListener('pointerup', ({ pointerId }) => { if (pointerId === down.pointerId) end(true) }, { signal })
  addEventListener('pointercancel', ({ pointerId }) => { if (pointerId === down.pointerId) end(false) }, { signal })
  addEventListener('keydown', escape, { signal, capture: true })
  addEventListener('touchmove', (event) => { if (drag.hasBegun) event.preventDefault() }, { signal, passive: false })
  addEventListener('contextmenu', (event) => { if (isTouch) event.preventDefault() }, { signal })
}
