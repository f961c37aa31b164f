// A window onto the room: it is moved by dragging, by arrow keys and by two fingers, and made larger by wheel and keys.
import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import { t } from '../../i18n/index.js'
import { IconButton } from '../../ui/button.js'
import { Maximize, Minus, Plus } from '../../ui/icons.js'
import type { Box } from './geometry.js'

interface Camera { readonly x: number; readonly y: number; readonly scale: number }

const LARGEST = 1.6
const SMALLEST = 0.06
const NAMES_FROM = 0.42
const STEP = 1.25
const ARROW_PX = 60
const WHEEL = 0.0016

const clamp = (scale: number): number => Math.min(LARGEST, Math.max(SMALLEST, scale))

/** Larger or smaller about a point of the window. */
const zoomed = ({ x, y, scale }: Camera, factor: number, atX: number, atY: number): Camera => {
  const next = clamp(scale * factor)
  const ratio = next / scale
  return { scale: next, x: atX - (atX - x) * ratio, y: atY - (atY - y) * ratio }
}

const fitted = ({ left, top, right, bottom }: Box, width: number, height: number): Camera => {
  const scale = clamp(Math.min(width / (right - left), height / (bottom - top)))
  return { scale, x: (width - (right - left) * scale) / 2 - left * scale, y: (height - (bottom - top) * scale) / 2 - top * scale }
}

/** Pointers that hold the ground: one moves it, two make it larger or smaller. */
const useGestures = (move: (change: Change) => void) => {
  const pointers = useRef(new Map<number, PointerEvent>())
  const down = (event: PointerEvent): void => {
    if (event.target instanceof Element && event.target.closest('button, [data-table]')) return
    ;(event.currentTarget as Element).setPointerCapture(event.pointerId)
    pointers.current.set(event.pointerId, event)
  }
  const go = (event: PointerEvent): void => {
    const before = pointers.current.get(event.pointerId)
    if (before === undefined) return
    const other = [...pointers.current.values()].find(({ pointerId }) => pointerId !== event.pointerId)
    pointers.current.set(event.pointerId, event)
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY]
    if (other === undefined) return move((camera) => ({ ...camera, x: camera.x + dx, y: camera.y + dy }))
    const far = (one: PointerEvent): number => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1
    const { left, top } = (event.currentTarget as Element).getBoundingClientRect()
    move((camera) => zoomed({ ...camera, x: camera.x + dx / 2, y: camera.y + dy / 2 }, far(event) / far(before), (event.clientX + other.clientX) / 2 - left, (event.clientY + other.clientY) / 2 - top))
  }
  const up = (event: PointerEvent): void => { pointers.current.delete(event.pointerId) }
  return { onPointerDown: down, onPointerMove: go, onPointerUp: up, onPointerCancel: up }
}

const useWheel = (element: { current: HTMLElement | null }, move: (change: Change) => void): void => useEffect(() => {
  const wheel = (event: WheelEvent): void => {
    event.preventDefault()
    const { left, top } = element.current!.getBoundingClientRect()
    if (event.ctrlKey || event.deltaMode !== 0 || Math.abs(event.deltaX) < 1) {
      return move((camera) => zoomed(camera, Math.exp(-event.deltaY * WHEEL * (event.ctrlKey ? 4 : 1)), event.clientX - left, event.clientY - top))
    }
    move((camera) => ({ ...camera, x: camera.x - event.deltaX, y: camera.y - event.deltaY }))
  }
  element.current!.addEventListener('wheel', wheel, { passive: false })
  return () => element.current?.removeEventListener('wheel', wheel)
}, [])

interface ViewportProps {
  box: Box
  /** The same as before while only the window moves: then nothing in it is drawn anew. */
  children: ComponentChildren
  /** Set to the pixels of a centimetre, for what is dragged. */
  scale: { current: number }
}

type Change = (camera: Camera) => Camera

/** Where the window is. It is written to the room itself, at most once for each frame: nothing is drawn anew. */
const useCamera = (room: { readonly current: HTMLElement | null }, scale: { current: number }) => {
  const camera = useRef<Camera>({ x: 0, y: 0, scale: 0.3 })
  const frame = useRef(0)
  const drawn = useRef(0)
  return useCallback((change: Change): void => {
    camera.current = change(camera.current)
    scale.current = camera.current.scale
    frame.current ||= requestAnimationFrame(() => {
      frame.current = 0
      if (room.current === null) return
      const { x, y, scale: size } = camera.current
      room.current.parentElement!.style.transform = `translate(${x}px, ${y}px)`
      if (drawn.current === size) return
      drawn.current = size
      room.current.style.transform = `scale(${size})`
      room.current.dataset['names'] = String(size >= NAMES_FROM)
    })
  }, [])
}

export const Viewport = ({ box, children, scale }: ViewportProps) => {
  const element = useRef<HTMLDivElement>(null)
  const room = useRef<HTMLDivElement>(null)
  const turn = useCamera(room, scale)
  const isFitted = useRef(true)
  const move = useCallback((change: Change): void => {
    isFitted.current = false
    turn(change)
  }, [])
  const isEmpty = box.right === 600 && box.left === -600
  const fit = useCallback(() => {
    const { clientWidth, clientHeight } = element.current!
    turn(() => fitted(box, clientWidth, clientHeight))
    isFitted.current = true
  }, [box])
  useLayoutEffect(fit, [isEmpty])
  useEffect(() => {
    const observer = new ResizeObserver(() => { if (isFitted.current) fit() })
    observer.observe(element.current!)
    return () => observer.disconnect()
  }, [fit])
  const zoom = (factor: number): void => move((now) => zoomed(now, factor, element.current!.clientWidth / 2, element.current!.clientHeight / 2))
  useWheel(element, move)
  const key = (event: KeyboardEvent): void => {
    if (event.target !== element.current) return
    const arrows: Record<string, readonly [number, number]> = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }
    const arrow = arrows[event.key]
    if (arrow) move((now) => ({ ...now, x: now.x + arrow[0] * ARROW_PX, y: now.y + arrow[1] * ARROW_PX }))
    else if (event.key === '+' || event.key === '=') zoom(STEP)
    else if (event.key === '-') zoom(1 / STEP)
    else return
    event.preventDefault()
  }
  return (
    <div class="viewport" ref={element} tabIndex={0} role="group" aria-label={t('seating.plan')} onKeyDown={key} {...useGestures(move)}>
      <div class="ground"><div class="room" ref={room}>{children}</div></div>
      <div class="zoom">
        <IconButton label={t('seating.zoomIn')} onClick={() => zoom(STEP)}><Plus size={18} /></IconButton>
        <IconButton label={t('seating.zoomOut')} onClick={() => zoom(1 / STEP)}><Minus size={18} /></IconButton>
        <IconButton label={t('seating.fit')} onClick={fit}><Maximize size={18} /></IconButton>
      </div>
    </div>
  )
}
