// Only guests with one meal, diet or allergy: those that somebody has, with how many.
import { t, word } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { FOODS, keyOf, portionsOf } from '../../state/needs.js'

export const FoodFilter = ({ food, onChange }: { food: string; onChange: (food: string) => void }) => {
  const plan = usePlan()
  const portions = portionsOf(plan, plan.guests.value)
  if (portions.length === 0 && food === '') return null
  return (
    <select aria-label={t('view.diets')} value={food} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">{t('guests.anyFood')}</option>
      {FOODS.map((family) => {
        const listed = portions.filter((portion) => portion.family === family)
        return listed.length > 0 && (
          <optgroup key={family} label={word('foods', family)}>
            {listed.map((portion) => <option key={portion.name} value={keyOf(portion)}>{`${word(family, portion.name)} (${portion.guests.length})`}</option>)}
          </optgroup>
        )
      })}
      {food !== '' && portions.every((portion) => keyOf(portion) !== food) && <option value={food}>{word(...food.split('.') as [string, string])}</option>}
    </select>
  )
}
