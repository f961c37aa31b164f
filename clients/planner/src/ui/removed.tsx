// What was removed in the last thirty days, and the way back.
import { useEffect, useState } from 'preact/hooks'
import { ago } from '../format/time.js'
import { t } from '../i18n/index.js'
import { restore, titleOf } from '../kinds/actions.js'
import { mayRemove, type Kind } from '../kinds/kind.js'
import { usePlan } from '../state/context.js'
import { rowsOf } from '../state/follow.js'
import { Button } from './button.js'
import { Dialog } from './dialog.js'
import { RotateCcw, Trash2 } from './icons.js'

/** A button that opens the list; nothing where nothing was removed. */
export const Removed = <T,>({ kind }: { kind: Kind<T> }) => {
  const plan = usePlan()
  const collection = kind.collection(plan)
  const [isOpen, open] = useState(false)
  rowsOf(collection).value // removed rows change with the list
  const removed = collection.removed()
  const isEmpty = removed.length === 0
  useEffect(() => { if (isEmpty) open(false) }, [isEmpty])
  if (isEmpty) return null
  return (
    <>
      <Button kind="quiet" onClick={() => open(true)}><Trash2 size={16} />{t('removed.button', { n: removed.length })}</Button>
      {isOpen && (
        <Dialog title={t('removed.title')} onClose={() => open(false)}>
          <ul class="plain-list">
            {removed.map((row) => (
              <li key={row.id} class="removed-row">
                <span dir="auto">{titleOf(plan, kind, row)}</span>
                <span class="soft">{ago((row as { deleted?: { at?: string } }).deleted?.at ?? '', Date.parse(plan.wedding.now()))}</span>
                {mayRemove(plan, kind, row.id) && (
                  <Button onClick={() => restore(plan, kind, row.id)}><RotateCcw size={16} />{t('action.restore')}</Button>
                )}
              </li>
            ))}
          </ul>
        </Dialog>
      )}
    </>
  )
}
