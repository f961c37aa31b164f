// The guests: a list of any length, filters, several at once, and a drawer for one.
import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { t, word } from '../../i18n/index.js'
import { GUEST, HOUSEHOLD } from '../../kinds/index.js'
import { mayAdd } from '../../kinds/kind.js'
import { go, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import type { Plan, Reply } from '../../state/plan.js'
import { AddLine } from '../../ui/add_line.js'
import { Button } from '../../ui/button.js'
import { CheckField } from '../../ui/field.js'
import { ClipboardPaste, Download, Search, SlidersHorizontal, Users } from '../../ui/icons.js'
import { Empty, Page } from '../../ui/page.js'
import { RecordDrawer } from '../../ui/record_form.js'
import { Removed } from '../../ui/removed.js'
import { VirtualList } from '../../ui/virtual.js'
import { Bulk } from './bulk.js'
import { Care } from './care.js'
import { exportGuests } from './export.js'
import { FoodFilter } from './food_filter.js'
import { GuestRow, HouseholdHeading, mayChange } from './guest_row.js'
import { ImportDialog } from './import.js'
import { between, emptyHouseholds, guestsShown, NO_FILTER, underHeadings, type Filter, type SortBy } from './rows.js'

const ROW_PX = 52
const HEADING_PX = 44
const PHONE_ROW_PX = 62
const isPhone = matchMedia('(max-width: 48rem)')

const Filters = ({ plan, filter, onFilter, sortBy, onSort, children }: { plan: Plan; filter: Filter; onFilter: (filter: Filter) => void; sortBy: SortBy; onSort: (sort: SortBy) => void; children: ComponentChildren }) => {
  const counts = plan.replies.value
  const set = (more: Partial<Filter>): void => onFilter({ ...filter, ...more })
  const [isOpen, open] = useState(false) // on a phone; elsewhere there is room for all of them
  const isFiltered = [filter.needs, filter.food, filter.side].some((wanted) => wanted !== '')
  const pill = (reply: Reply | '', label: string, count: number) => (
    <button type="button" class="pill" aria-pressed={filter.reply === reply} onClick={() => set({ reply })}>{label}<span>{count}</span></button>
  )
  return (
    <div class="filters">
      <label class="search"><Search size={16} aria-hidden="true" /><span class="unseen">{t('guests.search')}</span>
        <input type="search" value={filter.search} placeholder={t('guests.search')} onInput={(event) => set({ search: event.currentTarget.value })} />
      </label>
      <button type="button" class="icon-button filter-toggle" aria-label={t('guests.filters')} aria-expanded={isOpen} data-on={isFiltered} onClick={() => open(!isOpen)}><SlidersHorizontal size={18} /></button>
      {plan.knowsReplies.value && <div class="pills" role="group" aria-label={t('guest.rsvp')}>
        {pill('', t('guests.all'), plan.guests.value.length)}
        {(['yes', 'maybe', 'pending', 'no'] as const).map((reply) => pill(reply, word('reply', reply), counts[reply]))}
      </div>}
      <div class="filter-more" data-open={isOpen}>
        <div class="choose-all">{children}</div>
        <select aria-label={t('guests.needs')} value={filter.needs} onChange={(event) => set({ needs: event.currentTarget.value as Filter['needs'] })}>
          {(['', 'unseated', 'care', 'child'] as const).map((each) => <option key={each} value={each}>{word('needs', each || 'any')}</option>)}
        </select>
        <FoodFilter food={filter.food} onChange={(food) => set({ food })} />
        <select aria-label={t('guest.side')} value={filter.side} onChange={(event) => set({ side: event.currentTarget.value })}>
          {['', 'a', 'b', 'both'].map((side) => <option key={side} value={side}>{side === '' ? t('guests.anySide') : word('side', side)}</option>)}
        </select>
        <select aria-label={t('guests.sort')} value={sortBy} onChange={(event) => onSort(event.currentTarget.value as SortBy)}>
          {(['household', 'name', 'reply', 'table'] as const).map((each) => <option key={each} value={each}>{word('sort', each)}</option>)}
        </select>
      </div>
    </div>
  )
}

const OpenDrawer = ({ plan }: { plan: Plan }) => {
  const id = openRecord.value
  const close = (): void => go({ view: 'guests' })
  const guest = plan.guestById.value.get(id)
  if (guest !== undefined) return <RecordDrawer key={id} kind={GUEST} row={guest} onClose={close}>
      <AddLine kind={HOUSEHOLD} label={t('household.add')} onAdded={(household) => { plan.wedding.guests.update(guest.id, { household }) }} />
      <Care guest={guest} />
    </RecordDrawer>
  const household = plan.householdById.value.get(id)
  return household === undefined ? null : <RecordDrawer key={id} kind={HOUSEHOLD} row={household} onClose={close} />
}

const Actions = ({ plan, onImport }: { plan: Plan; onImport: () => void }) => (
  <>
    <Removed kind={GUEST} />
    <Removed kind={HOUSEHOLD} />
    <Button onClick={() => exportGuests(plan)}><Download size={16} />{t('action.export')}</Button>
    {mayAdd(plan, GUEST) && <Button kind="primary" onClick={onImport}><ClipboardPaste size={16} />{t('action.import')}</Button>}
  </>
)

/** Several lines that are pasted anywhere on the page are a list of guests. */
const usePastedList = (mayImport: boolean, take: (text: string) => void): void => useEffect(() => {
  const paste = (event: ClipboardEvent): void => {
    const text = event.clipboardData?.getData('text/plain').trim() ?? ''
    const isForOthers = event.target instanceof Element && event.target.closest('textarea, [role=dialog], dialog') !== null
    if (!mayImport || isForOthers || !text.includes('\n')) return
    event.preventDefault()
    take(text)
  }
  addEventListener('paste', paste)
  return () => removeEventListener('paste', paste)
}, [mayImport])

export const Guests = () => {
  const plan = usePlan()
  const [filter, setFilter] = useState(NO_FILTER)
  const [sortBy, sort] = useState<SortBy>('household')
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set())
  const [imported, importText] = useState<string>()
  usePastedList(mayAdd(plan, GUEST), importText)
  const [added, setAdded] = useState('')
  const guests = plan.guests.value
  const inputs = [guests, plan.households.value, plan.seats.value, plan.tables.value, plan.care.value, plan.events.value, filter, sortBy]
  const shown = useMemo(() => guestsShown(plan, filter, sortBy), inputs)
  const isGrouped = sortBy === 'household'
  const rows = useMemo(() => underHeadings(shown, isGrouped, isGrouped && Object.values(filter).every((wanted) => wanted === '') ? emptyHouseholds(plan) : []), [shown, isGrouped])
  const last = useRef('')
  const toggle = (id: string, isChosen: boolean, isRange: boolean): void => {
    const ids = isRange ? between(shown, last.current, id) : [id]
    last.current = id
    choose(new Set(isChosen ? [...chosen, ...ids] : [...chosen].filter((each) => !ids.includes(each))))
  }
  const summary = plan.knowsReplies.value ? t('guests.summary', { n: guests.length, yes: plan.replies.value.yes, pending: plan.replies.value.pending }) : t('guests.count', { n: guests.length })
  const heightOf = ({ sort: kind }: { sort: string }): number => (kind === 'heading' ? HEADING_PX : isPhone.matches ? PHONE_ROW_PX : ROW_PX)
  return (
    <Page title={t('view.guests')} summary={summary} isFixed actions={<Actions plan={plan} onImport={() => importText('')} />}>
      <AddLine kind={GUEST} label={t('guests.add')} more={() => ({ kind: 'adult' as const })} onAdded={setAdded} />
      {guests.length === 0
        ? <Empty title={t('guests.none')} icon={<Users size={40} />}><p>{t('guests.noneHint')}</p></Empty>
        : (
          <Filters plan={plan} filter={filter} onFilter={setFilter} sortBy={sortBy} onSort={sort}>
            {shown.some((guest) => mayChange(plan, guest)) && <CheckField label={t('guests.chooseAll', { n: shown.length })} checked={shown.every(({ id }) => chosen.has(id))} onChange={(isAll) => choose(new Set(isAll ? shown.map(({ id }) => id) : []))} />}
          </Filters>
        )}
      {chosen.size > 0 && <Bulk chosen={chosen} onDone={() => choose(new Set())} />}
      {guests.length > 0 && rows.length === 0 && <p class="soft nothing">{t('guests.nothingFound')}</p>}
      {rows.length > 0 && (
        <VirtualList rows={rows} keyOf={({ id }) => id} heightOf={heightOf} label={t('view.guests')} shown={added || openRecord.value}>
          {(row) => (row.sort === 'heading'
            ? <HouseholdHeading household={row.household} count={row.guests.length} />
            : <GuestRow guest={row.guest} isGrouped={isGrouped} isChosen={chosen.has(row.id)} onChoose={(isChosen, isRange) => toggle(row.id, isChosen, isRange)} />)}
        </VirtualList>
      )}
      <OpenDrawer plan={plan} />
      {imported !== undefined && <ImportDialog pasted={imported} onClose={() => importText(undefined)} />}
    </Page>
  )
}
