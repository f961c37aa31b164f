// Moving what stands in the room, by dragging or with arrow keys.
import { useRef } from 'preact/hooks'
import type { Point } from './geometry.js'

const STEP_CM = 10
const LARGE_STEP_CM = 50
const STILL_PX = 4
const ARROWS: Readonly<Record<string, Point>> = { ArrowLeft: { x: -1, y: 0 }, ArrowRight: { x: 1, y: 0 }, ArrowUp: { x: 0, y: -1 }, ArrowDown: { x: 0, y: 1 } }

/** How far an arrow key moves something; further with Shift. */
export const stepOf = ({ key, shiftKey }: KeyboardEvent): Point | undefined => {
  const arrow = ARROWS[key]
  const step = shiftKey ? LARGE_STEP_CM : STEP_CM
  return arrow && { x: arrow.x * step, y: arrow.y * step }
}

/** Where something stands, as a style. `transform` is for what is being moved: the others stay on one layer. */
export const standsAt = ({ x, y }: Point) => ({ left: `${x}px`, top: `${y}px` })

interface Drag { readonly thing: HTMLElement; readonly x: number; readonly y: number; by?: Point; frame: number }

interface Movable {
  at: Point
  /** Pixels for a centimetre. */
  scale: { readonly current: number }
  mayMove: boolean
  /** Writes the new place; returns what is wrong with it. */
  onMoved: (to: Point) => string | undefined
  onPress: () => void
}

/**
 * Dragging something that stands in the room. While the pointer moves, only the element with `data-table` is moved, once
 * for each frame, and nothing is drawn anew; the place is written when it is let go.
 */
export const useMove = ({ at, scale, mayMove, onMoved, onPress }: Movable) => {
  const drag = useRef<Drag>()
  const wasMoved = useRef(false)
  const down = (event: PointerEvent): void => {
    wasMoved.current = false
    if (!mayMove || event.button !== 0) return
    const button = event.currentTarget as Element
    drag.current = { thing: button.closest<HTMLElement>('[data-table]')!, x: event.clientX, y: event.clientY, frame: 0 }
    button.setPointerCapture(event.pointerId)
  }
  const move = ({ clientX, clientY }: PointerEvent): void => {
    const now = drag.current
    if (now === undefined || (!wasMoved.current && Math.hypot(clientX - now.x, clientY - now.y) <= STILL_PX)) return
    if (!wasMoved.current) now.thing.dataset['moving'] = 'true'
    wasMoved.current = true
    now.by = { x: (clientX - now.x) / scale.current, y: (clientY - now.y) / scale.current }
    now.frame ||= requestAnimationFrame(() => {
      now.frame = 0
      now.thing.style.transform = `translate(${now.by!.x}px, ${now.by!.y}px)`
    })
  }
  const end = (isDropped: boolean): void => {
    const now = drag.current
    drag.current = undefined
    if (now?.by === undefined) return
    cancelAnimationFrame(now.frame)
    const { thing, by } = now
    delete thing.dataset['moving']
    thing.style.transform = ''
    const to = { x: Math.round(at.x + by.x), y: Math.round(at.y + by.y) }
    if (isDropped && onMoved(to) === undefined) Object.assign(thing.style, standsAt(to)) // what is written is drawn a moment later
  }
  const click = (): void => { if (!wasMoved.current) onPress() }
  return { onPointerDown: down, onPointerMove: move, onPointerUp: () => end(true), onPointerCancel: () => end(false), onClick: click }
}
