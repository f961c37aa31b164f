// Whether all that was written here is stored by the server; what waits until then is listed by a press.
import { useState } from 'preact/hooks'
import { t, type Key } from '../i18n/index.js'
import { usePlan } from '../state/context.js'
import { valueOf } from '../state/follow.js'
import type { Plan } from '../state/plan.js'
import { Dialog } from '../ui/dialog.js'
import { Check, WifiOff } from '../ui/icons.js'
import { nameOfDocument } from './document_name.js'

type State = 'saved' | 'saving' | 'kept' | 'loading' | 'offline'

/** saved, saving, kept (it waits for a connection), or loading. */
const stateOf = (isSaved: boolean, connection: string, isSynced: boolean): State => {
  if (connection === 'offline') return isSaved ? 'offline' : 'kept'
  if (!isSynced) return 'loading'
  return isSaved ? 'saved' : 'saving'
}

const Waiting = ({ plan, onClose }: { plan: Plan; onClose: () => void }) => (
  <Dialog title={t('waiting.title')} onClose={onClose}>
    <p>{t('waiting.hint')}</p>
    <ul class="plain-list">
      {Object.entries(plan.wedding.saved.byDocument()).map(([document, n]) => (
        <li key={document}><strong dir="auto">{nameOfDocument(plan, document)}</strong> <span class="soft">{t('waiting.changes', { n })}</span></li>
      ))}
    </ul>
  </Dialog>
)

const Icon = ({ state }: { state: State }) => {
  if (state === 'saved') return <Check size={16} aria-hidden="true" />
  return state === 'offline' || state === 'kept' ? <WifiOff size={16} aria-hidden="true" /> : <span class="spinner" aria-hidden="true" />
}

export const Saved = () => {
  const plan = usePlan()
  const [isOpen, open] = useState(false)
  const { isSaved, waiting } = valueOf(plan.wedding.saved).value
  const { connection, isSynced } = valueOf(plan.wedding.status).value
  const state = stateOf(isSaved, connection, isSynced)
  const text = <><Icon state={state} /><span class="label">{state === 'kept' ? t('saved.kept', { n: waiting }) : t(`saved.${state}` as Key)}</span></>
  return (
    <>
      <div class="saved" data-state={state} data-count={waiting} role="status" title={waiting === 0 ? undefined : t('saved.waiting', { n: waiting })}>
        {isSaved ? text : <button type="button" onClick={() => open(true)}>{text}</button>}
      </div>
      {isOpen && !isSaved && <Waiting plan={plan} onClose={() => open(false)} />}
    </>
  )
}
