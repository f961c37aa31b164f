// One guest in the list, and the heading of a household.
import { t, word } from '../../i18n/index.js'
import { change } from '../../kinds/actions.js'
import { GUEST, HOUSEHOLD } from '../../kinds/index.js'
import { mayRemove } from '../../kinds/kind.js'
import { go, openRecord } from '../../router.js'
import { conflictsOf } from '../../state/conflicts.js'
import { usePlan } from '../../state/context.js'
import { othersHere } from '../../state/people.js'
import { fullName, tableName, type Guest, type Plan, type Reply } from '../../state/plan.js'
import { AlertTriangle } from '../../ui/icons.js'
import { RecordName } from '../../ui/record_name.js'
import { tableOf } from '../../state/needs.js'

const REPLIES: readonly Reply[] = ['yes', 'no', 'maybe', 'pending']

const Needs = ({ guest }: { guest: string }) => {
  const plan = usePlan()
  const care = plan.careById.value.get(guest)
  if (care === undefined) return null
  const allergies = Object.entries(care.allergies ?? {})
  return (
    <span class="chips">
      {allergies.map(([name, degree]) => <span key={name} class={`chip ${degree === 'severe' ? 'bad' : 'busy'}`}>{word('allergen', name)}</span>)}
      {Object.keys(care.diets ?? {}).map((diet) => <span key={diet} class="chip">{word('diet', diet)}</span>)}
    </span>
  )
}

/** Whether this person may do anything with a guest that is done with several at once. */
export const mayChange = (plan: Plan, { id }: Guest): boolean =>
  mayRemove(plan, GUEST, id) || ['household', 'side', `rsvp.${plan.mainEvent.value?.id}`].some((field) => plan.wedding.guests.mayWrite(id, field)) || plan.wedding.seating.seats.mayWrite(id)

interface GuestRowProps { guest: Guest; isChosen: boolean; onChoose: (isChosen: boolean, isRange: boolean) => void; isGrouped: boolean }

export const GuestRow = ({ guest, isChosen, onChoose, isGrouped }: GuestRowProps) => {
  const plan = usePlan()
  const event = plan.mainEvent.value?.id
  const reply = plan.replyOf(guest)
  const name = plan.called(guest)
  const table = tableOf(plan, guest.id)
  const here = othersHere(plan).value.find(({ at }) => at?.record === guest.id)
  const troubles = conflictsOf(plan, guest.id)
  return (
    <div class="guest-row" data-open={openRecord.value === guest.id} data-grouped={isGrouped} style={here === undefined ? undefined : { '--person': here.color }} data-here={here?.name}>
      {mayChange(plan, guest) && <input type="checkbox" checked={isChosen} aria-label={t('guests.choose', { name })} onClick={(event) => onChoose(event.currentTarget.checked, event.shiftKey)} />}
      <span class="guest-name">
        <RecordName kind={GUEST} row={guest} typed={fullName(guest)} onOpen={() => go({ view: 'guests', record: guest.id })} />
        {guest.kind !== undefined && guest.kind !== 'adult' && <span class="chip">{word('guestKind', guest.kind)}</span>}
        {troubles[0] && <a class="mark" href={`#/${plan.wedding.name}/conflicts/${encodeURIComponent(troubles[0].id)}`} aria-label={troubles[0].summary} title={troubles[0].summary}><AlertTriangle size={15} /></a>}
      </span>
      <Needs guest={guest.id} />
      <span class="guest-meal">{guest.meal && word('meal', guest.meal)}</span>
      <span class="guest-table">{table && tableName(table)}</span>
      {plan.knowsReplies.value && <select class={`reply ${reply}`} aria-label={t('guests.replyOf', { name })} value={reply} disabled={event === undefined || !plan.wedding.guests.mayWrite(guest.id, `rsvp.${event}`)}
        onChange={(chosen) => change(plan, GUEST, guest.id, { rsvp: { [event!]: chosen.currentTarget.value as Reply } })}>
        {REPLIES.map((each) => <option key={each} value={each}>{word('reply', each)}</option>)}
      </select>}
    </div>
  )
}

export const HouseholdHeading = ({ household, count }: { household: string; count: number }) => {
  const plan = usePlan()
  const row = plan.householdById.value.get(household)
  return (
    <div class="household-heading">
      {row === undefined ? <span class="soft">{t('guests.noHousehold')}</span> : <RecordName kind={HOUSEHOLD} row={row} onOpen={() => go({ view: 'guests', record: row.id })} />}
      <span class="soft">{count}</span>
    </div>
  )
}
