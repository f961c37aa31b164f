// Files for others: the whole list, and what the caterer needs.
import { t, word } from '../../i18n/index.js'
import { fullName, type Guest, type Plan } from '../../state/plan.js'
import { save } from '../../ui/save.js'
import { toCsv } from './csv.js'
import { householdOf, tableOf } from './rows.js'

const names = (family: string, flags: Readonly<Record<string, unknown>> | undefined): string =>
  Object.keys(flags ?? {}).map((each) => word(family, each)).join(', ')

const allergies = (plan: Plan, guest: Guest): string => Object.entries(plan.careById.value.get(guest.id)?.allergies ?? {})
  .map(([name, degree]) => `${word('allergen', name)} (${word('degree', degree)})`).join(', ')

/** All guests, with the columns that an import reads. */
export const exportGuests = (plan: Plan): void => {
  const rows = plan.guests.value.map((guest) => [
    guest.firstName ?? '', guest.lastName ?? '', householdOf(plan, guest), guest.email ?? '', guest.phone ?? '', plan.replyOf(guest), guest.meal ?? '', tableOf(plan, guest.id)
  ])
  const header = (['firstName', 'lastName', 'household', 'email', 'phone', 'rsvp', 'meal'] as const).map((column) => word('column', column))
  save(`${t('view.guests')}.csv`, toCsv([[...header, t('kind.table')], ...rows]))
}

/** Who comes, by table, with meal, diet and allergies. */
export const exportForCaterer = (plan: Plan): void => {
  const come = plan.guests.value.filter((guest) => plan.replyOf(guest) === 'yes')
  const rows = come.map((guest) => [
    tableOf(plan, guest.id), fullName(guest), word('guestKind', guest.kind ?? 'adult'), guest.meal ? word('meal', guest.meal) : '',
    names('diet', plan.careById.value.get(guest.id)?.diets), allergies(plan, guest)
  ])
  rows.sort(([one = ''], [other = '']) => one.localeCompare(other, undefined, { numeric: true }))
  save(`${t('guests.caterer')}.csv`, toCsv([[t('kind.table'), t('field.name'), t('guest.kind'), t('guest.meal'), t('guest.diets'), t('guest.allergies')], ...rows]))
}
