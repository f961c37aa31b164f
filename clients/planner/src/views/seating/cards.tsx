// For paper only: place cards, one for each guest who has a table, and who sits where, table by table.
import { t, word } from '../../i18n/index.js'
import { foodOf } from '../../state/needs.js'
import { usePlan } from '../../state/context.js'
import { tableName, type Guest } from '../../state/plan.js'
import type { RoomTable } from './room.js'

const seatedAt = ({ chairs, standing }: RoomTable): readonly Guest[] => [...chairs.flatMap(({ guests }) => guests), ...standing]

export const PlaceCards = ({ tables }: { tables: readonly RoomTable[] }) => {
  const plan = usePlan()
  return (
    <div class="place-cards" aria-hidden="true">
      {tables.flatMap((at) => seatedAt(at).map((guest) => (
        <div key={guest.id} class="place-card"><strong dir="auto">{plan.called(guest)}</strong><span>{tableName(at.table.label ?? '')}</span><i>{plan.details.value.title}</i></div>
      )))}
    </div>
  )
}

/** Behind the plan: names that can be read, and what each guest eats. */
export const TableLists = ({ tables }: { tables: readonly RoomTable[] }) => {
  const plan = usePlan()
  return (
    <div class="table-lists" aria-hidden="true">
      {tables.filter(({ taken }) => taken > 0).map((at) => (
        <section key={at.table.id}>
          <h2>{tableName(at.table.label ?? '')} <span class="soft">{at.taken}/{at.chairs.length}</span></h2>
          <ol>{seatedAt(at).map((guest) => <li key={guest.id}><span dir="auto">{plan.called(guest)}</span> <span class="soft">{foodOf(plan, guest).map(({ family, name }) => (family === 'allergen' ? t('care.allergyTo', { name: word(family, name) }) : word(family, name))).join(', ')}</span></li>)}</ol>
        </section>
      ))}
    </div>
  )
}
