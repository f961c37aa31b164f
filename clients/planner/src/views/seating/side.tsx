// Beside the room: who has no table yet, alone or as a household.
import { useRef, useState } from 'preact/hooks'
import { folded } from '../../format/text.js'
import { t } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import type { Guest } from '../../state/plan.js'
import { Button, IconButton } from '../../ui/button.js'
import { drags, useDrop } from '../../ui/drag.js'
import { Plus, Search, Users, X } from '../../ui/icons.js'
import { collects, held, hold, takeOff } from './moves.js'
import { NewRule } from './rules.js'

const Waiting = ({ guest }: { guest: Guest }) => {
  const plan = usePlan()
  const mayMove = plan.wedding.seating.seats.mayWrite(guest.id)
  return (
    <button type="button" class="waiting" aria-pressed={held.value.includes(guest.id)} onPointerDown={drags(mayMove ? [guest.id] : [])} onClick={(event) => hold([guest.id], event.shiftKey)}>
      <span dir="auto">{plan.called(guest)}</span>
    </button>
  )
}

const Household = ({ name, guests }: { name: string; guests: readonly Guest[] }) => {
  const ids = guests.map(({ id }) => id)
  return (
    <li>
      {guests.length > 1 && (
        <button type="button" class="waiting household" aria-pressed={ids.every((id) => held.value.includes(id))} title={t('seating.household')} onPointerDown={drags(ids)} onClick={() => hold(ids)}>
          <Users size={14} aria-hidden="true" /><span dir="auto">{name}</span><span class="soft">{guests.length}</span>
        </button>
      )}
      {guests.map((guest) => <Waiting key={guest.id} guest={guest} />)}
    </li>
  )
}

/** What is to be put somewhere, and what can be done with it. */
export const HeldBar = () => {
  const plan = usePlan()
  const guests = held.value
  if (guests.length === 0) return null
  const names = guests.map((guest) => plan.nameOf(guest)).join(', ')
  const [first] = guests
  const household = plan.byHousehold.value.get(plan.guestById.value.get(first!)?.household ?? '') ?? []
  const isSeated = guests.some((guest) => plan.seatByGuest.value.has(guest))
  return (
    <div class="held" role="status">
      <p dir="auto"><strong>{names}</strong><span class="how">: {t(guests.length === 1 ? 'seating.held' : 'seating.heldMany')}</span></p>
      {guests.length === 1 && household.length > 1 && <Button onClick={() => { held.value = household.filter((guest) => plan.replyOf(guest) !== 'no').map(({ id }) => id) }}><Users size={16} />{t('seating.household')}</Button>}
      <IconButton label={t('seating.more')} aria-pressed={collects.value} onClick={() => { collects.value = !collects.value }}><Plus size={18} /></IconButton>
      <NewRule />
      {isSeated && <Button onClick={() => takeOff(plan, guests)}>{t('seating.unseat')}</Button>}
      <IconButton label={t('action.cancel')} onClick={() => { held.value = [] }}><X size={18} /></IconButton>
    </div>
  )
}

export const Side = () => {
  const plan = usePlan()
  const element = useRef<HTMLElement>(null)
  const [search, setSearch] = useState('')
  useDrop(element, (ids) => takeOff(plan, ids))
  const unseated = plan.unseated.value
  const found = unseated.filter((guest) => folded(plan.called(guest)).includes(folded(search)))
  const groups = new Map<string, Guest[]>()
  for (const guest of found) groups.set(guest.household ?? guest.id, [...groups.get(guest.household ?? guest.id) ?? [], guest])
  return (
    <section class="seating-side" ref={element} aria-labelledby="unseated-title">
      <h2 id="unseated-title">{t('seating.unseated')} <span class="soft">{unseated.length}</span></h2>
      {unseated.length === 0 ? <p class="soft">{t(plan.guests.value.length === 0 ? 'overview.noGuests' : 'seating.allSeated')}</p> : (
        <label class="search"><Search size={16} aria-hidden="true" /><span class="unseen">{t('seating.search')}</span>
          <input type="search" value={search} placeholder={t('seating.search')} onInput={(event) => setSearch(event.currentTarget.value)} />
        </label>
      )}
      <ul class="waiting-list">
        {[...groups].map(([household, guests]) => <Household key={household} name={plan.householdById.value.get(household)?.name ?? ''} guests={guests} />)}
      </ul>
    </section>
  )
}
