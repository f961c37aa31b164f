// Dragging between elements: what is taken is a list of ids, and where it can be put decides for itself.
import { draggable, dropTargetForElements } from '@atlaskit/pragmatic-drag-and-drop/element/adapter'
import type { RefObject } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

const KEY = 'ids'

const idsIn = (data: Record<string | symbol, unknown>): readonly string[] => (Array.isArray(data[KEY]) ? data[KEY] as string[] : [])

/** Makes an element something that can be dragged; no ids: it cannot. */
export const useDrag = (element: RefObject<HTMLElement>, ids: readonly string[]): boolean => {
  const [isDragged, setDragged] = useState(false)
  const now = useRef(ids)
  now.current = ids
  useEffect(() => draggable({
    element: element.current!,
    canDrag: () => now.current.length > 0,
    getInitialData: () => ({ [KEY]: now.current }),
    onDragStart: () => setDragged(true),
    onDrop: () => setDragged(false)
  }), [])
  return isDragged
}

/** Makes an element a place where something can be put. Whether something is over it. */
export const useDrop = (element: RefObject<HTMLElement>, onDrop: (ids: readonly string[]) => void): boolean => {
  const [isOver, setOver] = useState(false)
  const now = useRef(onDrop)
  now.current = onDrop
  useEffect(() => dropTargetForElements({
    element: element.current!,
    onDragEnter: () => setOver(true),
    onDragLeave: () => setOver(false),
    onDropTargetChange: ({ location, self }) => setOver(location.current.dropTargets[0]?.element === self.element),
    onDrop: ({ source, location, self }) => {
      setOver(false)
      if (location.current.dropTargets[0]?.element === self.element) now.current(idsIn(source.data))
    }
  }), [])
  return isOver
}
