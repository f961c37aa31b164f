// Rules: who should sit together, and who apart. A rule is made of the guests that are chosen, and taken away in a list.
import { t, word } from '../../i18n/index.js'
import { RULE } from '../../kinds/index.js'
import { remove } from '../../kinds/actions.js'
import { mayRemove } from '../../kinds/kind.js'
import { usePlan } from '../../state/context.js'
import { Button, IconButton } from '../../ui/button.js'
import { Dialog } from '../../ui/dialog.js'
import { CheckField } from '../../ui/field.js'
import { Trash2 } from '../../ui/icons.js'
import { Removed } from '../../ui/removed.js'
import { toast } from '../../ui/toast.js'
import { held } from './moves.js'

const KINDS = ['together', 'apart'] as const

/** For two guests or more: keep them together, or apart. */
export const NewRule = () => {
  const plan = usePlan()
  const { rules } = plan.wedding.seating
  const guests = held.value
  if (guests.length < 2 || !rules.mayWrite()) return null
  const add = (kind: (typeof KINDS)[number]): void => {
    const id = rules.add({ kind, guests: Object.fromEntries(guests.map((guest) => [guest, true as const])) })
    held.value = []
    toast(t('rules.added'), { action: { label: t('action.undo'), run: () => rules.remove(id) } })
  }
  return <>{KINDS.map((kind) => <Button key={kind} onClick={() => add(kind)}>{word('rule_kind', kind)}</Button>)}</>
}

export const RulesDialog = ({ isShown, onShow, onClose }: { isShown: boolean; onShow: (isShown: boolean) => void; onClose: () => void }) => {
  const plan = usePlan()
  const list = plan.rules.value
  return (
    <Dialog title={t('seating.rules')} onClose={onClose} footer={<Removed kind={RULE} />}>
      <CheckField label={t('rules.show')} checked={isShown} onChange={onShow} />
      <p class="hint">{t('rules.hint')}</p>
      <ul class="plain-list">
        {list.map((rule) => (
          <li key={rule.id} class="removed-row">
            <span><span class={`chip ${rule.kind === 'apart' ? 'busy' : 'good'}`}>{word('rule_kind', rule.kind ?? '')}</span> <span dir="auto">{Object.keys(rule.guests ?? {}).map((guest) => plan.nameOf(guest)).filter(Boolean).join(', ')}</span></span>
            {mayRemove(plan, RULE, rule.id) && <IconButton label={t('rules.remove')} onClick={() => remove(plan, RULE, [rule.id])}><Trash2 size={16} /></IconButton>}
          </li>
        ))}
      </ul>
    </Dialog>
  )
}
