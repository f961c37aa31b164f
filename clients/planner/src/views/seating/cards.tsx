// Place cards: one for each guest who has a table, for paper only.
import { t } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { fullName } from '../../state/plan.js'
import type { RoomTable } from './room.js'

export const PlaceCards = ({ tables }: { tables: readonly RoomTable[] }) => {
  const plan = usePlan()
  const seated = tables.flatMap(({ table, chairs, standing }) => [...chairs.flatMap(({ guests }) => guests), ...standing].map((guest) => ({ guest, table })))
  return (
    <div class="place-cards" aria-hidden="true">
      {seated.map(({ guest, table }) => (
        <div key={guest.id} class="place-card"><strong dir="auto">{fullName(guest)}</strong><span>{t('table.named', { label: table.label ?? '' })}</span><i>{plan.details.value.title}</i></div>
      ))}
    </div>
  )
}
