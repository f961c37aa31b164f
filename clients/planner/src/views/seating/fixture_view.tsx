// Something else that stands in the room: it is moved as tables are.
import type { Row, rows } from 'crdt-server-client'
import type { JSX } from 'preact'
import { t } from '../../i18n/index.js'
import { change, remove, titleOf } from '../../kinds/actions.js'
import { FIXTURE } from '../../kinds/index.js'
import { go, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { renameInDrawer } from '../../ui/dialog.js'
import type { Point } from './geometry.js'
import { standsAt, stepOf, useMove } from './move.js'

export const FixtureView = ({ fixture, scale }: { fixture: Row<rows.Fixture>; scale: { readonly current: number } }) => {
  const plan = usePlan()
  const { id, kind = 'other', position = { x: 0, y: 0 }, size = { width: 100, height: 100 } } = fixture
  const mayMove = plan.wedding.seating.fixtures.mayWrite(id, 'position')
  const moveTo = ({ x, y }: Point): string | undefined => change(plan, FIXTURE, id, { position: { ...position, x, y } })
  const handlers = useMove({ at: position, scale, mayMove, onMoved: moveTo, onPress: () => go({ view: 'seating', record: id }) })
  const key = (event: KeyboardEvent): void => {
    const step = stepOf(event)
    if (step && mayMove) moveTo({ x: position.x + step.x, y: position.y + step.y })
    else if (event.key === 'F2' && mayMove) renameInDrawer(() => go({ view: 'seating', record: id }))
    else if (event.key === 'Delete' && mayMove) remove(plan, FIXTURE, [id])
    else return
    event.preventDefault()
  }
  const style = { ...standsAt(position), '--w': `${size.width}px`, '--h': `${size.height}px` } as JSX.CSSProperties
  const name = titleOf(plan, FIXTURE, fixture)
  return (
    <div class="fixture" data-table={id} data-kind={kind} style={style}>
      <button type="button" aria-description={t('seating.moveTable', { table: name })} data-open={openRecord.value === id} onKeyDown={key} {...handlers}>{name}</button>
    </div>
  )
}
