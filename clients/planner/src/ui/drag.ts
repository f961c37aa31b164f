// Dragging between elements: what is taken is a list of ids, and where it can be put decides for itself. While something is
// dragged, the marks `data-dragged` and `data-over` are set at the elements themselves: nothing is drawn anew.
import { draggable, dropTargetForElements } from '@atlaskit/pragmatic-drag-and-drop/element/adapter'
import type { RefObject } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

const KEY = 'ids'

const idsIn = (data: Record<string | symbol, unknown>): readonly string[] => (Array.isArray(data[KEY]) ? data[KEY] as string[] : [])

/** Makes an element something that can be dragged; no ids: it cannot. */
export const useDrag = (element: RefObject<HTMLElement>, ids: readonly string[]): void => {
  const now = useRef(ids)
  now.current = ids
  useEffect(() => {
    const { dataset } = element.current!
    return draggable({
      element: element.current!,
      canDrag: () => now.current.length > 0,
      getInitialData: () => ({ [KEY]: now.current }),
      onDragStart: () => { dataset['dragged'] = 'true' },
      onDrop: () => { delete dataset['dragged'] }
    })
  }, [])
}

/** Makes an element a place where something can be put. */
export const useDrop = (element: RefObject<HTMLElement>, onDrop: (ids: readonly string[]) => void): void => {
  const now = useRef(onDrop)
  now.current = onDrop
  useEffect(() => {
    const { dataset } = element.current!
    return dropTargetForElements({
      element: element.current!,
      onDropTargetChange: ({ location, self }) => {
        if (location.current.dropTargets[0]?.element === self.element) dataset['over'] = 'true'
        else delete dataset['over']
      },
      onDrop: ({ source, location, self }) => {
        delete dataset['over']
        if (location.current.dropTargets[0]?.element === self.element) now.current(idsIn(source.data))
      }
    })
  }, [])
}
