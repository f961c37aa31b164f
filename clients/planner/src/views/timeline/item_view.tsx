// One item in its lane. It is moved by dragging or with arrow keys; what follows from it is shown before it happens.
import { useComputed } from '@preact/signals'
import type { JSX } from 'preact'
import { useRef } from 'preact/hooks'
import { clock, duration, timeOfDay } from '../../format/time.js'
import { t } from '../../i18n/index.js'
import { remove } from '../../kinds/actions.js'
import { ITEM } from '../../kinds/index.js'
import { go, openRecord } from '../../router.js'
import { conflictsOf } from '../../state/conflicts.js'
import { usePlan } from '../../state/context.js'
import { othersHere } from '../../state/people.js'
import { renameInDrawer } from '../../ui/dialog.js'
import { AlertTriangle, Pin } from '../../ui/icons.js'
import { endOf, type Placed } from './lanes.js'
import { drop, moving, moveTo, show } from './moves.js'

export const PX_PER_MINUTE = 1.7
const SNAP = 5
const LARGE = 15
const STILL_PX = 4
const LEAST_PX = 20
const LINE_PX = 16.25
const WITH_LENGTH_PX = 74

const snap = (minutes: number): number => Math.round(minutes / SNAP) * SNAP

interface ItemViewProps { placed: Placed; from: number }

const useMove = ({ placed: { item } }: ItemViewProps, mayMove: boolean) => {
  const plan = usePlan()
  const start = useRef<number | undefined>()
  const wasMoved = useRef(false)
  const to = (event: PointerEvent): number => snap((item.start ?? 0) + (event.clientY - start.current!) / PX_PER_MINUTE)
  const end = (): void => {
    start.current = undefined
    moving.value = undefined
  }
  return {
    onPointerDown: (event: PointerEvent) => {
      wasMoved.current = false
      if (!mayMove || event.button !== 0) return
      start.current = event.clientY
      ;(event.currentTarget as Element).setPointerCapture(event.pointerId)
    },
    onPointerMove: (event: PointerEvent) => {
      if (start.current === undefined || (!wasMoved.current && Math.abs(event.clientY - start.current) < STILL_PX)) return
      wasMoved.current = true
      show(plan, item, to(event))
    },
    onPointerUp: (event: PointerEvent) => {
      if (start.current !== undefined && wasMoved.current) drop(plan, item, to(event))
      end()
    },
    onPointerCancel: end,
    onClick: () => { if (!wasMoved.current) go({ view: 'timeline', record: item.id }) },
    onKeyDown: (event: KeyboardEvent) => {
      const step = (event.shiftKey ? LARGE : SNAP) * ({ ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0)
      if (step !== 0 && mayMove) moveTo(plan, item, (item.start ?? 0) + step)
      else if (event.key === 'F2' && mayMove) renameInDrawer(() => go({ view: 'timeline', record: item.id }))
      else if (event.key === 'Delete' && mayMove) remove(plan, ITEM, [item.id])
      else return
      event.preventDefault()
    }
  }
}

export const ItemView = (props: ItemViewProps) => {
  const plan = usePlan()
  const { placed: { item, column, columns }, from } = props
  const mayMove = plan.wedding.timeline.mayWrite(item.id, 'start')
  const handlers = useMove(props, mayMove)
  const { start = 0, duration: length = 0, title = '', rigidity, status, keyMoment, kind } = item
  const height = Math.max(length * PX_PER_MINUTE - 2, LEAST_PX)
  const hasLength = height >= WITH_LENGTH_PX
  const style = { insetBlockStart: `${(start - from) * PX_PER_MINUTE}px`, blockSize: `${height}px`, insetInlineStart: `${(column / columns) * 100}%`, inlineSize: `calc(${100 / columns}% - 3px)`, '--lines': String(Math.max(1, Math.floor((height - (hasLength ? 41 : 24)) / LINE_PX))) } as JSX.CSSProperties
  const isMoved = useComputed(() => moving.value?.ripple.shifts.some(({ id }) => id === item.id) ?? false) // the others are not drawn anew
  const [trouble] = conflictsOf(plan, item.id)
  const here = othersHere(plan).value.find(({ at }) => at?.record === item.id)
  const rest = t('timeline.until', { to: clock(endOf(item)), length: duration(length) }) + (trouble ? `. ${trouble.summary}` : '')
  return (
    <button type="button" class="item" style={here ? { ...style, '--person': here.color } as JSX.CSSProperties : style} aria-description={mayMove ? t('timeline.keys') : undefined} title={`${clock(start)} ${title}, ${rest}`} data-here={here?.name}
      data-item={item.id} data-kind={kind} data-rigidity={rigidity} data-status={status} data-key={keyMoment} data-short={height < 38} data-open={openRecord.value === item.id} data-moved={isMoved.value} {...handlers}>
      <span class="item-time">{timeOfDay(start)} </span>
      <span class="item-title" dir="auto">{title}</span>
      {hasLength && <span class="item-length" aria-hidden="true">{duration(length)}</span>}
      <span class="unseen">, {rest}</span>
      <span class="item-marks">{rigidity === 'fixed' && <Pin size={13} aria-hidden="true" />}{trouble && <AlertTriangle size={13} aria-hidden="true" />}</span>
    </button>
  )
}
