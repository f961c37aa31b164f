// Moving what stands in the room, by dragging or with arrow keys.
import { useRef, useState } from 'preact/hooks'
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

/** Dragging something that stands in the room: shown at once, written when it is let go. */
export const useMove = (at: Point, scale: { readonly current: number }, onMoved: (to: Point) => void, onPress: () => void) => {
  const [offset, setOffset] = useState<Point | undefined>()
  const start = useRef<{ readonly x: number; readonly y: number } | undefined>()
  const far = (event: PointerEvent): Point => ({ x: event.clientX - start.current!.x, y: event.clientY - start.current!.y })
  const down = (event: PointerEvent): void => {
    if (event.button !== 0) return
    start.current = { x: event.clientX, y: event.clientY }
    ;(event.currentTarget as Element).setPointerCapture(event.pointerId)
  }
  const move = (event: PointerEvent): void => {
    if (start.current === undefined) return
    const { x, y } = far(event)
    if (offset !== undefined || Math.hypot(x, y) > STILL_PX) setOffset({ x: x / scale.current, y: y / scale.current })
  }
  const up = (event: PointerEvent): void => {
    if (start.current === undefined) return
    start.current = undefined
    if (offset === undefined) return
    event.preventDefault()
    setOffset(undefined)
    onMoved({ x: Math.round(at.x + offset.x), y: Math.round(at.y + offset.y) })
  }
  const click = (): void => { if (offset === undefined) onPress() }
  return { offset, handlers: { onPointerDown: down, onPointerMove: move, onPointerUp: up, onPointerCancel: () => { start.current = undefined; setOffset(undefined) }, onClick: click } }
}
