// The seating as the room: what stands there, who sits where, and who has no table yet.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { t, word } from '../../i18n/index.js'
import { FIXTURE, TABLE } from '../../kinds/index.js'
import { go, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { AddLine } from '../../ui/add_line.js'
import { Button } from '../../ui/button.js'
import { Printer } from '../../ui/icons.js'
import { Page } from '../../ui/page.js'
import { RecordDrawer } from '../../ui/record_form.js'
import { Removed } from '../../ui/removed.js'
import { PlaceCards, TableLists } from './cards.js'
import { Chairs } from './chairs.js'
import { FixtureView } from './fixture_view.js'
import { ColorLegend } from './legend.js'
import { held } from './moves.js'
import { boundsOf, roomTables, ruleLines, type ColorBy, type RoomTable, type RuleLine } from './room.js'
import { RulesDialog } from './rules.js'
import { HeldBar, Side } from './side.js'
import { TableView } from './table_view.js'
import { Viewport } from './viewport.js'

const COLORS: readonly ColorBy[] = ['none', 'household', 'side', 'meal', 'allergy', 'reply']
const APART_CM = 420

/** Where a new table stands: right of all others. */
const freePosition = (tables: readonly RoomTable[]): { x: number; y: number; rotation: number } => {
  const last = [...tables].sort((one, other) => other.y - one.y || other.x - one.x)[0]
  return last === undefined ? { x: 0, y: 0, rotation: 0 } : { x: last.x + APART_CM, y: last.y, rotation: 0 }
}

const print = (what: 'plan' | 'cards'): void => {
  document.body.dataset['print'] = what
  window.print()
}

const Lines = ({ lines }: { lines: readonly RuleLine[] }) => (
  <svg class="rules" aria-hidden="true" focusable="false">
    {lines.map(({ id, from, to, kind, isBroken }) => <line key={id} x1={from.x} y1={from.y} x2={to.x} y2={to.y} data-kind={kind} data-broken={isBroken} />)}
  </svg>
)

interface Options { color: ColorBy; hasRules: boolean }

const Controls = ({ options, onChange, onRules }: { options: Options; onChange: (options: Options) => void; onRules: () => void }) => (
  <>
    <label class="inline-select"><span>{t('seating.color')}</span>
      <select value={options.color} onChange={(event) => onChange({ ...options, color: event.currentTarget.value as ColorBy })}>{COLORS.map((color) => <option key={color} value={color}>{word('color', color)}</option>)}</select>
    </label>
    <Button aria-pressed={options.hasRules} onClick={onRules}>{t('seating.rules')}</Button>
    <Removed kind={TABLE} />
    <Removed kind={FIXTURE} />
    <Button onClick={() => print('plan')}><Printer size={16} />{t('action.print')}</Button>
    <Button onClick={() => print('cards')}><Printer size={16} />{t('seating.cards')}</Button>
  </>
)

const useRelease = (): void => useEffect(() => {
  const key = (event: KeyboardEvent): void => { if (event.key === 'Escape') held.value = [] }
  addEventListener('keydown', key)
  return () => {
    removeEventListener('keydown', key)
    held.value = []
  }
}, [])

export const Seating = () => {
  const plan = usePlan()
  const [options, setOptions] = useState<Options>({ color: 'none', hasRules: false })
  const [hasDialog, showRules] = useState(false)
  const scale = useRef(1)
  useRelease()
  const inputs = [plan.tables.value, plan.sittings.value, plan.guestById.value, plan.fixtures.value]
  const tables = useMemo(() => roomTables(plan), inputs)
  const box = useMemo(() => boundsOf(plan, tables), inputs)
  const lines = useMemo(() => (options.hasRules ? ruleLines(plan, tables) : []), [...inputs, plan.rules.value, options.hasRules])
  const open = plan.tableById.value.get(openRecord.value)
  const openTable = tables.find(({ table }) => table.id === open?.id)
  const fixture = plan.fixtures.value.find(({ id }) => id === openRecord.value)
  const seated = tables.reduce((sum, { taken }) => sum + taken, 0)
  const free = tables.reduce((sum, { taken, chairs }) => sum + Math.max(chairs.length - taken, 0), 0)
  return (
    <Page title={t('view.seating')} isFixed summary={plan.knowsReplies.value ? t('seating.summary', { seated, n: plan.unseated.value.length, free }) : t('seating.taken', { seated, free })} actions={<Controls options={options} onChange={setOptions} onRules={() => showRules(true)} />}>
      <div class="seating" data-holding={held.value.length > 0}>
        <Viewport box={box} scale={scale}>
          {plan.fixtures.value.map((fixture) => <FixtureView key={fixture.id} fixture={fixture} scale={scale} />)}
          {lines.length > 0 && <Lines lines={lines} />}
          {tables.map((at) => <TableView key={at.table.id} at={at} color={options.color} scale={scale} />)}
        </Viewport>
        {tables.length === 0 && <p class="soft no-tables">{t('seating.none')}</p>}
        {plan.wedding.seating.seats.mayWrite() && <Side />}
        <HeldBar />
        <ColorLegend by={options.color} />
      </div>
      <div class="two">
        <AddLine kind={TABLE} label={t('seating.addTable')} more={() => ({ position: freePosition(tables) })} />
        <AddLine kind={FIXTURE} label={t('seating.addFixture')} more={() => ({ position: { x: (box.left + box.right) / 2, y: box.top } })} />
      </div>
      {open && <RecordDrawer key={open.id} kind={TABLE} row={open} onClose={() => go({ view: 'seating' })}>{openTable && <Chairs at={openTable} />}</RecordDrawer>}
      {fixture && <RecordDrawer key={fixture.id} kind={FIXTURE} row={fixture} onClose={() => go({ view: 'seating' })} />}
      {hasDialog && <RulesDialog isShown={options.hasRules} onShow={(hasRules) => setOptions({ ...options, hasRules })} onClose={() => showRules(false)} />}
      <PlaceCards tables={tables} />
      <TableLists tables={tables} />
    </Page>
  )
}
