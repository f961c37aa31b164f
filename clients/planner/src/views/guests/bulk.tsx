// What is done with several guests at once.
import { t, word } from '../../i18n/index.js'
import { remove } from '../../kinds/actions.js'
import { GUEST } from '../../kinds/index.js'
import { usePlan } from '../../state/context.js'
import { tableName, type Reply } from '../../state/plan.js'
import { Button, IconButton } from '../../ui/button.js'
import { Trash2, X } from '../../ui/icons.js'

export const Bulk = ({ chosen, onDone }: { chosen: ReadonlySet<string>; onDone: () => void }) => {
  const plan = usePlan()
  const { wedding } = plan
  const event = plan.mainEvent.value?.id
  const each = (write: (id: string) => void): void => wedding.batch(() => { for (const id of chosen) if (wedding.guests.get(id) !== undefined) write(id) })
  const select = (label: string, choices: readonly (readonly [string, string])[], write: (id: string, value: string) => void) => (
    <select aria-label={label} value="" onChange={({ currentTarget }) => { const { value } = currentTarget; currentTarget.value = ''; each((id) => write(id, value)) }}>
      <option value="" disabled>{label}</option>
      {choices.map(([value, name]) => <option key={value} value={value}>{name}</option>)}
    </select>
  )
  return (
    <div class="bulk" role="toolbar" aria-label={t('guests.bulk', { n: chosen.size })}>
      <strong>{t('guests.bulk', { n: chosen.size })}</strong>
      {event !== undefined && select(t('guest.rsvp'), ['yes', 'no', 'maybe', 'pending'].map((value) => [value, word('reply', value)] as const),
        (id, value) => wedding.guests.update(id, { rsvp: { [event]: value as Reply } }))}
      {select(t('guest.household'), plan.households.value.map(({ id, name = '' }) => [id, name] as const), (id, household) => wedding.guests.update(id, { household }))}
      {select(t('guest.side'), ['a', 'b', 'both'].map((side) => [side, word('side', side)] as const), (id, side) => wedding.guests.update(id, { side: side as 'a' }))}
      {select(t('guests.seatAt'), plan.tables.value.map((table) => [table.id, t('seating.tableFree', { table: tableName(table.label ?? ''), n: plan.freeAt(table) })] as const), (id, table) => wedding.seating.place(id, table))}
      <Button kind="danger" onClick={() => { remove(plan, GUEST, [...chosen]); onDone() }}><Trash2 size={16} />{t('action.remove')}</Button>
      <IconButton label={t('guests.chooseNone')} onClick={onDone}><X size={18} /></IconButton>
    </div>
  )
}
