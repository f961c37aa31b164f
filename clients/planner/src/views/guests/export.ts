// A file for others: the whole list.
import { toCsv } from '../../format/csv.js'
import { t, word } from '../../i18n/index.js'
import { tableOf } from '../../state/needs.js'
import type { Plan } from '../../state/plan.js'
import { save } from '../../ui/save.js'
import { householdOf } from './rows.js'

/** All guests, with the columns and the words that an import reads. */
export const exportGuests = (plan: Plan): void => {
  const rows = plan.guests.value.map((guest) => [
    guest.firstName ?? '', guest.lastName ?? '', householdOf(plan, guest), guest.email ?? '', guest.phone ?? '',
    guest.side === undefined ? '' : word('side', guest.side), word('guestKind', guest.kind ?? 'adult'), word('reply', plan.replyOf(guest)), guest.meal ? word('meal', guest.meal) : '', tableOf(plan, guest.id)
  ])
  const header = (['firstName', 'lastName', 'household', 'email', 'phone', 'side', 'kind', 'rsvp', 'meal'] as const).map((column) => word('column', column))
  save(`${t('view.guests')}.csv`, toCsv([[...header, t('kind.table')], ...rows]))
}
