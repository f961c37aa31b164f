// Who works on an item, and who is needed for it: the lanes it stands in, and the sheets it is on.
import { t, word } from '../../i18n/index.js'
import { change } from '../../kinds/actions.js'
import { ITEM } from '../../kinds/index.js'
import { usePlan } from '../../state/context.js'
import type { Item, Plan } from '../../state/plan.js'
import { SelectField } from '../../ui/field.js'

type Family = 'vendors' | 'persons'
const COUPLE = ['bride', 'groom']

const write = (plan: Plan, { id }: Item, family: Family, member: string, isIn: boolean): void => {
  change(plan, ITEM, id, { [family]: { [member]: isIn ? true : null } })
}

const Toggles = ({ item, family, label, members }: { item: Item; family: Family; label: string; members: readonly (readonly [id: string, name: string])[] }) => {
  const plan = usePlan()
  return (
    <fieldset class="toggle-group">
      <legend>{label}</legend>
      <div class="toggles">
        {members.map(([id, name]) => {
          const isIn = item[family]?.[id] === true
          return <button key={id} type="button" class="pill" aria-pressed={isIn} disabled={!plan.wedding.timeline.mayWrite(item.id, `${family}.${id}`)} dir="auto" onClick={() => write(plan, item, family, id, !isIn)}>{name}</button>
        })}
      </div>
    </fieldset>
  )
}

/** The couple, the wedding party, and whoever else is needed already. */
const offered = (plan: Plan, item: Item): readonly string[] =>
  [...new Set([...COUPLE, ...plan.guests.value.filter(({ party }) => party !== undefined).map(({ id }) => id), ...Object.keys(item.persons ?? {})])]

export const ItemPeople = ({ item }: { item: Item }) => {
  const plan = usePlan()
  const vendors = plan.vendors.value.filter(({ id, stage }) => stage !== 'cancelled' || item.vendors?.[id]).map(({ id, name = '' }) => [id, name || t('record.unnamed')] as const)
  const persons = offered(plan, item)
  const others = plan.guests.value.filter(({ id }) => !persons.includes(id)).map((guest) => [guest.id, plan.called(guest)] as const)
  return (
    <>
      {vendors.length > 0 && <Toggles item={item} family="vendors" label={t('view.vendors')} members={vendors} />}
      <Toggles item={item} family="persons" label={t('item.persons')} members={persons.map((id) => [id, plan.nameOf(id) || word('person', id)])} />
      {others.length > 0 && plan.wedding.timeline.mayWrite(item.id, 'persons.x') && (
        <SelectField label={t('item.addPerson')} value="" choices={[['', '–'], ...others]} onChange={(guest) => { if (guest !== '') write(plan, item, 'persons', guest, true) }} />
      )}
    </>
  )
}
