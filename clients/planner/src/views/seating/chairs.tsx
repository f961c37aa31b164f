// The chairs of a table as a list, for its drawer: what can be done with the chairs of the room, by keyboard and by name.
import { t } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import type { Guest } from '../../state/plan.js'
import { IconButton } from '../../ui/button.js'
import { SelectField } from '../../ui/field.js'
import { X } from '../../ui/icons.js'
import { held, hold, pressChair, put, takeOff } from './moves.js'
import type { Chair, RoomTable } from './room.js'

const TakeOff = ({ guests, name }: { guests: readonly Guest[]; name: string }) => {
  const plan = usePlan()
  const ids = guests.map(({ id }) => id)
  if (ids.length === 0 || !ids.every((id) => plan.wedding.seating.seats.mayWrite(id))) return null
  const press = (event: MouseEvent): void => {
    (event.currentTarget as Element).closest('li')!.querySelector('button')!.focus() // this button goes away
    takeOff(plan, ids)
  }
  return <IconButton label={t('chairs.takeOff', { name })} onClick={press}><X size={16} /></IconButton>
}

const ChairRow = ({ at, chair }: { at: RoomTable; chair: Chair }) => {
  const plan = usePlan()
  const { seat, guests, isLoose } = chair
  const name = guests.map((guest) => plan.called(guest)).join(', ')
  return (
    <li data-free={guests.length === 0}>
      <button type="button" aria-pressed={guests.some(({ id }) => held.value.includes(id))} onClick={(event) => pressChair(plan, at, chair, event.shiftKey)}>
        <span class="soft">{t('chairs.chair', { seat: seat + 1 })}</span>
        <span class="grow" dir="auto">{name || t('chairs.free')}</span>
        {isLoose && <span class="chip">{t('chairs.loose')}</span>}
      </button>
      <TakeOff guests={guests} name={name} />
    </li>
  )
}

/** For whom there is no chair left. */
const StandingRow = ({ guest, name }: { guest: Guest; name: string }) => (
  <li>
    <button type="button" aria-pressed={held.value.includes(guest.id)} onClick={(event) => hold([guest.id], event.shiftKey)}>
      <span class="grow" dir="auto">{name}</span><span class="chip bad">{t('chairs.standing')}</span>
    </button>
    <TakeOff guests={[guest]} name={name} />
  </li>
)

export const Chairs = ({ at }: { at: RoomTable }) => {
  const plan = usePlan()
  const { chairs, standing, taken } = at
  const waiting = plan.unseated.value.map((guest) => [guest.id, plan.called(guest)] as const)
  return (
    <section class="chairs" aria-labelledby="chairs-title">
      <h3 id="chairs-title">{t('chairs.title', { free: Math.max(chairs.length - taken, 0), n: chairs.length })}</h3>
      <ul>
        {chairs.map((chair) => <ChairRow key={chair.seat} at={at} chair={chair} />)}
        {standing.map((guest) => <StandingRow key={guest.id} guest={guest} name={plan.called(guest)} />)}
      </ul>
      {waiting.length > 0 && plan.wedding.seating.seats.mayWrite() && (
        <SelectField label={t('chairs.seat')} value="" choices={[['', '–'], ...waiting]} onChange={(guest) => { if (guest !== '') put(plan, [guest], at) }} />
      )}
    </section>
  )
}
