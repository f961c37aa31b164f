// What one guest needs: diets, allergies and how severe they are, and help. Only for those who may open these notes.
import { t, word } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import type { Guest } from '../../state/plan.js'
import { SelectField, TextField } from '../../ui/field.js'

const DIETS = ['vegetarian', 'vegan', 'pescatarian', 'gluten_free', 'lactose_free', 'halal', 'kosher']
const ALLERGENS = ['peanut', 'tree_nut', 'milk', 'egg', 'fish', 'shellfish', 'soy', 'sesame', 'mustard', 'celery', 'lupin']

type Degree = 'mild' | 'severe'

const listed = (known: readonly string[], there: Readonly<Record<string, unknown>> | undefined): readonly string[] => [...new Set([...known, ...Object.keys(there ?? {})])]

export const Care = ({ guest }: { guest: Guest }) => {
  const plan = usePlan()
  const { care } = plan.wedding
  if (!care.isOpen) return null
  const row = plan.careById.value.get(guest.id)
  const disabled = !care.mayWrite(guest.id, 'access')
  const write = (fields: Parameters<typeof care.update>[1]): void => {
    if (care.get(guest.id) === undefined) care.add({ id: guest.id, ...fields })
    else care.update(guest.id, fields)
  }
  const allergies = Object.keys(row?.allergies ?? {})
  const others = listed(ALLERGENS, row?.allergies).filter((name) => !allergies.includes(name))
  return (
    <section class="care" aria-labelledby="care-title">
      <h3 id="care-title">{t('care.title')}</h3>
      <div class="toggles" role="group" aria-label={t('guest.diets')}>
        {listed(DIETS, row?.diets).map((diet) => {
          const isChosen = row?.diets?.[diet] === true
          return <button key={diet} type="button" class="pill" aria-pressed={isChosen} disabled={disabled} onClick={() => write({ diets: { [diet]: isChosen ? null : true } })}>{word('diet', diet)}</button>
        })}
      </div>
      {allergies.map((name) => (
        <SelectField key={name} label={t('care.allergyTo', { name: word('allergen', name) })} value={row?.allergies?.[name] ?? ''} disabled={disabled}
          choices={[['', t('care.none')], ['mild', word('degree', 'mild')], ['severe', word('degree', 'severe')]]}
          onChange={(degree) => write({ allergies: { [name]: degree === '' ? null : degree as Degree } })} />
      ))}
      {!disabled && <SelectField label={t('care.addAllergy')} value="" choices={[['', '–'], ...others.map((name) => [name, word('allergen', name)] as const)]} onChange={(name) => { if (name !== '') write({ allergies: { [name]: 'mild' } }) }} />}
      <TextField label={t('care.access')} value={row?.access ?? ''} disabled={disabled} onCommit={(access) => write({ access: access.trim() || null })} />
    </section>
  )
}
