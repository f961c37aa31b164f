// Dragging between elements by mouse, pen or finger: what is taken is a list of ids, and where it can be put decides for
// itself. A finger takes something when it has rested there for a moment: before that, it scrolls. While something is
// dragged, a preview follows the pointer once for each frame, and the marks `data-dragged` and `data-over` are set at the
// elements themselves: nothing is drawn anew.
import type { RefObject } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

const STILL_PX = 4
const STILL_FINGER_PX = 10
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

const scrollerAbove = (element: Element | null): HTMLElement | undefined => {
  for (const each of withParents(element)) {
    const { overflowX, overflowY } = getComputedStyle(each)
    const scrolls = /auto|scroll/
    if (each.scrollHeight > each.clientHeight && scrolls.test(overflowY)) return each
    if (each.scrollWidth > each.clientWidth && scrolls.test(overflowX)) return each
  }
  return undefined
}

const towards = (at: number, begin: number, end: number): number => (at < begin + EDGE_PX ? -SCROLL_PX : at > end - EDGE_PX ? SCROLL_PX : 0)

const previewOf = (element: HTMLElement): HTMLElement => {
  const preview = document.createElement('div')
  preview.className = 'drag-preview'
  preview.ariaHidden = 'true'
  preview.append(...[...element.childNodes].map((each) => each.cloneNode(true)))
  return preview
}

/** What is under way from the press on; `begin` takes the ids from their element. */
class Drag {
  private preview?: HTMLElement
  private under: Element | null = null
  private over: HTMLElement | undefined
  private scroller: HTMLElement | undefined
  private frame = 0
  private x: number
  private y: number

  constructor (private readonly from: HTMLElement, private readonly ids: readonly string[], { clientX, clientY }: PointerEvent) {
    this.x = clientX
    this.y = clientY
  }

  get hasBegun (): boolean {
    return this.preview !== undefined
  }

  begin (pointer: number): void {
    this.preview = document.body.appendChild(previewOf(this.from))
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
    if (under !== this.under) {
      this.under = under
      this.scroller = scrollerAbove(under)
      this.mark(placeAbove(under))
    }
    this.preview!.style.transform = `translate(${this.x}px, ${this.y}px)`
    if (this.scrolls()) this.frame ||= requestAnimationFrame(() => this.draw())
  }

  /** Scrolls the list under the pointer as long as the pointer is near an edge of it; whether it does. */
  private scrolls (): boolean {
    if (this.scroller === undefined) return false
    const { top, bottom, left, right } = this.scroller.getBoundingClientRect()
    const { scrollTop, scrollLeft } = this.scroller
    this.scroller.scrollBy(towards(this.x, left, right), towards(this.y, top, bottom))
    return this.scroller.scrollTop !== scrollTop || this.scroller.scrollLeft !== scrollLeft
  }

  private mark (place: HTMLElement | undefined): void {
    if (place === this.over) return
    if (this.over !== undefined) delete this.over.dataset['over']
    if (place !== undefined) place.dataset['over'] = 'true'
    this.over = place
  }

  end (isDropped: boolean): void {
    if (this.preview === undefined) return
    cancelAnimationFrame(this.frame)
    this.preview.remove()
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
      if (drag.distance(event) <= (isTouch ? STILL_FINGER_PX : STILL_PX)) return
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
