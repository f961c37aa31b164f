// A table of the room with its chairs. The table is moved by dragging its middle or with arrow keys.
import type { JSX } from 'preact'
import { useRef } from 'preact/hooks'
import { t } from '../../i18n/index.js'
import { TABLE } from '../../kinds/index.js'
import { change, remove } from '../../kinds/actions.js'
import { go, openRecord } from '../../router.js'
import { conflictsOf } from '../../state/conflicts.js'
import { usePlan } from '../../state/context.js'
import { fullName, tableName, type Guest, type Plan } from '../../state/plan.js'
import { renameInDrawer } from '../../ui/dialog.js'
import { drags, useDrop } from '../../ui/drag.js'
import { Lock } from '../../ui/icons.js'
import { initials } from '../../ui/person.js'
import type { Point } from './geometry.js'
import { held, hold, pressChair, put } from './moves.js'
import { standsAt, stepOf, useMove } from './move.js'
import { shortName, toneOf, type Chair, type ColorBy, type RoomTable } from './room.js'

interface ChairViewProps { at: RoomTable; chair: Chair; color: ColorBy }

const labelOf = (plan: Plan, label: string, { seat, guests, isLoose }: Chair): string => {
  const [first] = guests
  if (first === undefined) return t('seating.chairEmpty', { table: label, seat: seat + 1 })
  if (isLoose) return t('seating.anywhere', { name: plan.called(first), table: label })
  return t('seating.chairTaken', { table: label, seat: seat + 1, names: guests.map((guest) => plan.called(guest)).join(', ') })
}

const ChairView = ({ at, chair, color }: ChairViewProps) => {
  const plan = usePlan()
  const element = useRef<HTMLButtonElement>(null)
  const { guests, isLoose, seat } = chair
  const [guest] = guests
  const mayMove = plan.wedding.seating.seats.mayWrite(guest?.id)
  useDrop(element, (ids) => put(plan, ids, at, seat))
  const label = labelOf(plan, tableName(at.table.label ?? ''), chair)
  const style = { '--x': `${chair.x}px`, '--y': `${chair.y}px` } as JSX.CSSProperties
  return (
    <button type="button" ref={element} class={`chair ${guest ? toneOf(plan, guest, color) : ''}`} style={style} aria-label={label} title={label} data-initials={guest && (initials(fullName(guest)) || shortName(guest))} disabled={!mayMove && guest === undefined}
      data-free={guest === undefined} data-loose={isLoose} data-double={guests.length > 1}
      aria-pressed={guest !== undefined && held.value.includes(guest.id)} data-open={guest !== undefined && openRecord.value === guest.id}
      onPointerDown={drags(guest !== undefined && mayMove ? [guest.id] : [])} onClick={(event) => pressChair(plan, at, chair, event.shiftKey)}>
      {guest !== undefined && <span aria-hidden="true" dir="auto">{shortName(guest)}</span>}
    </button>
  )
}

export const TableView = ({ at, color, scale }: { at: RoomTable; color: ColorBy; scale: { readonly current: number } }) => {
  const plan = usePlan()
  const top = useRef<HTMLButtonElement>(null)
  const { table, chairs, standing, taken } = at
  const mayMove = plan.wedding.seating.tables.mayWrite(table.id, 'position')
  const moveTo = ({ x, y }: Point): string | undefined => change(plan, TABLE, table.id, { position: { x, y, rotation: at.rotation } })
  const press = (): void => { if (held.value.length > 0) put(plan, held.value, at); else go({ view: 'seating', record: table.id }) }
  const handlers = useMove({ at, scale, mayMove, onMoved: moveTo, onPress: press })
  useDrop(top, (ids) => put(plan, ids, at))
  const key = (event: KeyboardEvent): void => {
    const step = stepOf(event)
    if (step && mayMove) moveTo({ x: at.x + step.x, y: at.y + step.y })
    else if (event.key === 'F2') renameInDrawer(() => go({ view: 'seating', record: table.id }))
    else if (event.key === 'Delete') remove(plan, TABLE, [table.id])
    else return
    event.preventDefault()
  }
  const free = Math.max(chairs.length - taken, 0)
  const label = t('seating.tableFree', { table: tableName(table.label ?? ''), n: free })
  const style = { ...standsAt(at), '--w': `${at.width}px`, '--h': `${at.height}px`, '--turn': `${at.rotation}deg` } as JSX.CSSProperties
  return (
    <div class="table" data-table={table.id} data-shape={table.shape ?? 'round'} data-turned={at.rotation !== 0} style={style} role="group" aria-label={tableName(table.label ?? '')}>
      <button type="button" class="table-top" ref={top} aria-label={label} aria-description={t('seating.moveTable', { table: tableName(table.label ?? '') })}
        data-full={free === 0} data-trouble={conflictsOf(plan, table.id).length > 0} data-open={openRecord.value === table.id} onKeyDown={key} {...handlers}>
        <strong>{table.label}</strong>
        <span data-count={`${taken}/${chairs.length}`}>{table.locked && <Lock size={26} />}</span>
      </button>
      {chairs.map((chair) => <ChairView key={chair.seat} at={at} chair={chair} color={color} />)}
      {standing.length > 0 && <Standing guests={standing} plan={plan} />}
    </div>
  )
}

const Standing = ({ guests, plan }: { guests: readonly Guest[]; plan: Plan }) => (
  <ul class="standing">{guests.map((guest) => <li key={guest.id}><button type="button" aria-pressed={held.value.includes(guest.id)} onClick={() => hold([guest.id])}>{plan.called(guest)}</button></li>)}</ul>
)
