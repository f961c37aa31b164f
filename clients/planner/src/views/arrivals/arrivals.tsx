// Who is here, on the day itself: one press of a thumb for a guest or a household. What is pressed most is at the bottom.
import { useMemo, useState } from 'preact/hooks'
import { folded } from '../../format/text.js'
import { ago } from '../../format/time.js'
import { t, word } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { tableName, type Guest, type Plan } from '../../state/plan.js'
import { Button } from '../../ui/button.js'
import { Check, Search, Users } from '../../ui/icons.js'
import { Empty, Page } from '../../ui/page.js'
import { toast } from '../../ui/toast.js'
import { VirtualList } from '../../ui/virtual.js'

const ROW_PX = 68
const SHOWN = ['expected', 'here', 'all'] as const
type Shown = (typeof SHOWN)[number]

const byText = new Intl.Collator().compare
const isHere = ({ checkedIn }: Guest): boolean => checkedIn !== undefined
const isExpected = (plan: Plan, guest: Guest): boolean => !isHere(guest) && plan.replyOf(guest) !== 'no'

const write = ({ wedding }: Plan, guests: readonly Guest[], areHere: boolean): void => {
  const checkedIn = areHere ? { at: wedding.now(), by: wedding.person.id } : null
  wedding.batch(() => { for (const { id } of guests) wedding.guests.update(id, { checkedIn }) })
}

/** Writes that guests have come, or that they have not after all, and offers the way back. */
const arrive = (plan: Plan, guests: readonly Guest[], areHere: boolean): void => {
  const [first] = guests
  if (first === undefined) return
  write(plan, guests, areHere)
  const text = guests.length > 1 ? t('arrivals.many', { n: guests.length }) : t(areHere ? 'arrivals.one' : 'arrivals.none', { name: plan.called(first) })
  toast(text, { action: { label: t('action.undo'), run: () => write(plan, guests, !areHere) } })
}

const matches = (plan: Plan, guest: Guest, shown: Shown, search: string): boolean => {
  if (shown === 'here' ? !isHere(guest) : shown === 'expected' && !isExpected(plan, guest)) return false
  const household = plan.householdById.value.get(guest.household ?? '')?.name ?? ''
  return search === '' || folded(`${plan.called(guest)} ${household}`).includes(folded(search))
}

const Row = ({ plan, guest }: { plan: Plan; guest: Guest }) => {
  const { guests } = plan.wedding
  const mayWrite = guests.mayWrite(guest.id, 'checkedIn')
  const table = plan.tableById.value.get(plan.seatByGuest.value.get(guest.id)?.table ?? '')?.label
  const household = plan.householdById.value.get(guest.household ?? '')?.name
  const together = guest.household === undefined ? [] : plan.byHousehold.value.get(guest.household)?.filter((other) => isExpected(plan, other)) ?? []
  const about = [table && tableName(table), household, guest.checkedIn && ago(guest.checkedIn.at, Date.parse(plan.wedding.now()))]
  return (
    <div class="arrival" data-here={isHere(guest)}>
      <button type="button" class="arrival-press" aria-pressed={isHere(guest)} disabled={!mayWrite} onClick={() => arrive(plan, [guest], !isHere(guest))}>
        <span class="tick" aria-hidden="true"><Check size={20} /></span>
        <span class="grow"><strong dir="auto">{plan.called(guest)}</strong><span class="soft" dir="auto">{about.filter(Boolean).join(' · ')}</span></span>
      </button>
      {!isHere(guest) && together.length > 1 && mayWrite && (
        <Button aria-label={t('arrivals.household', { n: together.length, name: household ?? '' })} onClick={() => arrive(plan, together, true)}><Users size={16} />{together.length}</Button>
      )}
    </div>
  )
}

const Controls = ({ shown, onShow, search, onSearch }: { shown: Shown; onShow: (shown: Shown) => void; search: string; onSearch: (search: string) => void }) => (
  <div class="arrival-controls">
    <div class="pills" role="group" aria-label={t('view.arrivals')}>
      {SHOWN.map((each) => <button key={each} type="button" class="pill" aria-pressed={shown === each} onClick={() => onShow(each)}>{word('arrivals', each)}</button>)}
    </div>
    <label class="search"><Search size={16} aria-hidden="true" /><span class="unseen">{t('guests.search')}</span>
      <input type="search" enterkeyhint="done" value={search} placeholder={t('guests.search')} onInput={(event) => onSearch(event.currentTarget.value)} />
    </label>
  </div>
)

export const Arrivals = () => {
  const plan = usePlan()
  const [shown, show] = useState<Shown>('expected')
  const [search, setSearch] = useState('')
  const guests = plan.guests.value
  const rows = useMemo(() => {
    const keyed = guests.filter((guest) => matches(plan, guest, shown, search)).map((guest) => ({ guest, key: plan.sortName(guest) }))
    return keyed.sort((one, other) => byText(one.key, other.key)).map(({ guest }) => guest)
  }, [guests, plan.households.value, plan.events.value, shown, search])
  const here = guests.filter(isHere).length
  const coming = guests.filter((guest) => isHere(guest) || !plan.knowsReplies.value || plan.replyOf(guest) === 'yes').length
  return (
    <Page title={t('view.arrivals')} summary={t('arrivals.summary', { n: here, of: coming })} isFixed>
      {rows.length === 0
        ? <Empty title={t(guests.length === 0 ? 'guests.none' : 'guests.nothingFound')} icon={<Users size={40} />} />
        : <VirtualList rows={rows} keyOf={({ id }) => id} heightOf={() => ROW_PX} label={t('view.arrivals')}>{(guest) => <Row plan={plan} guest={guest} />}</VirtualList>}
      {guests.length > 0 && <Controls shown={shown} onShow={show} search={search} onSearch={setSearch} />}
    </Page>
  )
}
