// Whether all that was written here is stored by the server; what waits until then is listed by a press.
import { useState } from 'preact/hooks'
import { t, type Key } from '../i18n/index.js'
import { usePlan } from '../state/context.js'
import { valueOf } from '../state/follow.js'
import { threadsOf } from '../state/threads.js'
import type { Plan } from '../state/plan.js'
import { Dialog } from '../ui/dialog.js'
import { Check, WifiOff } from '../ui/icons.js'

const NAMES: Readonly<Record<string, Key>> = {
  wedding: 'settings.wedding', guests: 'view.guests', care: 'care.title', seating: 'view.seating', timeline: 'view.timeline', budget: 'view.budget', thread: 'view.messages', notes: 'view.notes'
}

type State = 'saved' | 'saving' | 'kept' | 'loading' | 'offline'

/** saved, saving, kept (it waits for a connection), or loading. */
const stateOf = (isSaved: boolean, connection: string, isSynced: boolean): State => {
  if (connection === 'offline') return isSaved ? 'offline' : 'kept'
  if (!isSynced) return 'loading'
  return isSaved ? 'saved' : 'saving'
}

/** What people call a document; a conversation by its title. */
const nameOf = (plan: Plan, document: string): string => {
  const [kind = '', id] = document.split(/[.@]/)
  const title = kind === 'notes' ? id : kind === 'thread' ? threadsOf(plan).threads.value.find((thread) => thread.id === id)?.title : undefined
  const key = NAMES[kind]
  return [key && t(key), title].filter(Boolean).join(': ') || document
}

const Waiting = ({ plan, onClose }: { plan: Plan; onClose: () => void }) => (
  <Dialog title={t('waiting.title')} onClose={onClose}>
    <p>{t('waiting.hint')}</p>
    <ul class="plain-list">
      {Object.entries(plan.wedding.saved.byDocument()).map(([document, n]) => (
        <li key={document}><strong dir="auto">{nameOf(plan, document)}</strong> <span class="soft">{t('waiting.changes', { n })}</span></li>
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
