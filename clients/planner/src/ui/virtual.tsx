// A list of which only the rows in sight are in the page, however many there are.
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from '@tanstack/virtual-core'
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useLayoutEffect, useReducer, useRef } from 'preact/hooks'

interface VirtualListProps<R> {
  rows: readonly R[]
  keyOf: (row: R) => string
  heightOf: (row: R) => number
  label: string
  /** Brought into view, when it is another than before. */
  shown?: string
  children: (row: R, at: number) => ComponentChildren
}

const OVERSCAN = 8

export const VirtualList = <R,>({ rows, keyOf, heightOf, label, shown = '', children }: VirtualListProps<R>) => {
  const element = useRef<HTMLDivElement>(null)
  const [, rerender] = useReducer((turn: number, _: void) => turn + 1, 0)
  const options = {
    count: rows.length,
    getScrollElement: () => element.current,
    estimateSize: (at: number) => heightOf(rows[at]!),
    getItemKey: (at: number) => keyOf(rows[at]!),
    overscan: OVERSCAN,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => rerender()
  }
  const virtual = useRef<Virtualizer<HTMLDivElement, Element>>()
  virtual.current ??= new Virtualizer(options)
  virtual.current.setOptions(options)
  useLayoutEffect(() => virtual.current!._didMount(), [])
  useLayoutEffect(() => virtual.current!._willUpdate())
  useLayoutEffect(() => { virtual.current!.measure() }, [rows])
  useEffect(() => {
    const at = shown === '' ? -1 : rows.findIndex((row) => keyOf(row) === shown)
    if (at >= 0) virtual.current!.scrollToIndex(at, { align: 'auto' })
  }, [shown])
  return (
    <div class="virtual" ref={element} tabIndex={0}>
      <div role="list" aria-label={label} style={{ blockSize: `${virtual.current.getTotalSize()}px` } as JSX.CSSProperties}>
        {virtual.current.getVirtualItems().map(({ key, index, start, size }) => (
          <div key={key} role="listitem" aria-setsize={rows.length} aria-posinset={index + 1}
            style={{ transform: `translateY(${start}px)`, blockSize: `${size}px` } as JSX.CSSProperties}>
            {rows[index] !== undefined && children(rows[index], index)}
          </div>
        ))}
      </div>
    </div>
  )
}
