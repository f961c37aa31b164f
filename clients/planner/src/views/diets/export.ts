// A file for the caterer: who comes, by table and chair, with meal, diet and allergies.
import { toCsv } from '../../format/csv.js'
import { t, word } from '../../i18n/index.js'
import { chairOf, tableOf } from '../../state/needs.js'
import type { Guest, Plan } from '../../state/plan.js'
import { save } from '../../ui/save.js'

const rowOf = (plan: Plan, guest: Guest): readonly string[] => {
  const { diets, allergies } = plan.careById.value.get(guest.id) ?? {}
  return [
    tableOf(plan, guest.id), chairOf(plan, guest.id), plan.called(guest), word('guestKind', guest.kind ?? 'adult'), guest.meal ? word('meal', guest.meal) : '',
    Object.keys(diets ?? {}).map((diet) => word('diet', diet)).join(', '),
    Object.entries(allergies ?? {}).map(([name, degree]) => `${word('allergen', name)} (${word('degree', degree)})`).join(', ')
  ]
}

export const exportForCaterer = (plan: Plan, guests: readonly Guest[]): void => {
  const header = [t('kind.table'), t('diets.chair'), t('field.name'), t('guest.kind'), t('guest.meal'), t('guest.diets'), t('guest.allergies')]
  save(`${t('diets.caterer')}.csv`, toCsv([header, ...guests.map((guest) => rowOf(plan, guest))]))
}
